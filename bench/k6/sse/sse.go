// Package sse adds k6/x/sse to k6: a POST whose text/event-stream reply is read event by event, each with its time of arrival.
//
//	import sse from 'k6/x/sse';
//	const reply = sse.post(url, body, { headers: {}, timeoutMs: 60000, stopAfterEvents: 0 });
//
// k6's own client returns a stream when it is complete, so it cannot measure the time to a first token.
package sse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.k6.io/k6/js/modules"
)

// maxEventBytes bounds one event, so that a server that never ends a line cannot fill the memory.
const maxEventBytes = 16 << 20

func init() {
	modules.Register("k6/x/sse", new(rootModule))
}

type rootModule struct{}

// NewModuleInstance makes the module of one VU.
func (*rootModule) NewModuleInstance(vu modules.VU) modules.Instance {
	return &module{vu: vu}
}

type module struct {
	vu modules.VU
}

// Exports names what a script can import.
func (m *module) Exports() modules.Exports {
	return modules.Exports{Default: map[string]any{"post": m.post}, Named: map[string]any{"post": m.post}}
}

// Options of one request.
type Options struct {
	Headers map[string]string `js:"headers"`
	// TimeoutMs is for the whole stream. Default: 60 s.
	TimeoutMs int64 `js:"timeoutMs"`
	// StopAfterEvents leaves after so many events, as a client does that goes away. 0: never.
	StopAfterEvents int `js:"stopAfterEvents"`
}

// Event is one data payload. AtMs is counted from just before the request was sent.
type Event struct {
	Data string  `js:"data"`
	AtMs float64 `js:"atMs"`
}

// Reply is what came. Error is empty for a stream that ended in order, and for one that was left on purpose.
type Reply struct {
	Status      int     `js:"status"`
	ContentType string  `js:"contentType"`
	Body        string  `js:"body"`
	Events      []Event `js:"events"`
	DurationMs  float64 `js:"durationMs"`
	Stopped     bool    `js:"stopped"`
	Error       string  `js:"error"`
}

func (m *module) post(url, body string, options Options) (*Reply, error) {
	state := m.vu.State()
	if state == nil {
		return nil, errors.New("sse.post needs a running VU: call it from the default function")
	}
	timeout := time.Duration(options.TimeoutMs) * time.Millisecond
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(m.vu.Context(), timeout)
	// Cuts the connection where events were left unread, so that the server sees the client go.
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept-Encoding", "identity")
	for name, value := range options.Headers {
		request.Header.Set(name, value)
	}

	began := time.Now()
	reply := &Reply{Events: []Event{}}
	defer func() { reply.DurationMs = millisecondsSince(began) }()
	response, err := (&http.Client{Transport: state.Transport}).Do(request)
	if err != nil {
		reply.Error = err.Error()
		return reply, nil
	}
	defer func() { _ = response.Body.Close() }()
	reply.Status = response.StatusCode
	reply.ContentType = response.Header.Get("Content-Type")
	if !strings.HasPrefix(reply.ContentType, "text/event-stream") {
		text, readErr := io.ReadAll(io.LimitReader(response.Body, maxEventBytes))
		reply.Body = string(text)
		reply.note(readErr)
		return reply, nil
	}
	reply.note(readEvents(response.Body, func(data string) bool {
		reply.Events = append(reply.Events, Event{Data: data, AtMs: millisecondsSince(began)})
		reply.Stopped = options.StopAfterEvents > 0 && len(reply.Events) >= options.StopAfterEvents
		return !reply.Stopped
	}))
	return reply, nil
}

func (r *Reply) note(err error) {
	if err != nil {
		r.Error = err.Error()
	}
}

// readEvents hands on the data of each event until the stream ends or receive returns false. Comments are skipped. An event
// without the empty line that ends it is not handed on, as the specification of event streams says.
func readEvents(stream io.Reader, receive func(data string) bool) error {
	scanner := bufio.NewScanner(stream)
	scanner.Buffer(make([]byte, 0, 64<<10), maxEventBytes)
	var data []string
	for scanner.Scan() {
		line := strings.TrimSuffix(scanner.Text(), "\r")
		if value, found := strings.CutPrefix(line, "data:"); found {
			data = append(data, strings.TrimPrefix(value, " "))
			continue
		}
		if line != "" || len(data) == 0 {
			continue
		}
		if !receive(strings.Join(data, "\n")) {
			return nil
		}
		data = nil
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("the stream broke off: %w", err)
	}
	if len(data) > 0 {
		return errors.New("the stream ended inside an event")
	}
	return nil
}

func millisecondsSince(began time.Time) float64 {
	return float64(time.Since(began).Microseconds()) / 1000
}
