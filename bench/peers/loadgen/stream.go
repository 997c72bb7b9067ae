package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"qianmen/bench/peers/wire"
)

func (l *load) streamClient(c *client) {
	reader := &eventReader{chunks: l.chunks}
	if l.mode == "paced" {
		// Spread the beginnings evenly, so that the window sees as many of them at any time.
		streamUs := l.chunks / max(1, l.burst) * l.intervalUs
		time.Sleep(time.Duration(streamUs*c.number/l.connections) * time.Microsecond)
	}
	for !c.stopped() {
		if err := c.streamOnce(reader); err != nil && !c.failed(err) {
			return
		}
	}
}

func (c *client) streamOnce(reader *eventReader) error {
	startNs := wire.Nanotime()
	if err := c.send(); err != nil {
		return err
	}
	head, err := c.conn.Head()
	if err != nil {
		return err
	}
	status := string(head[:min(len(head), 30)])
	close := wire.Contains(wire.Header(head, "connection"), "close")
	ok := bytes.HasPrefix(head, okStatus) && wire.Contains(wire.Header(head, "content-type"), "text/event-stream")
	reader.reset()
	recorder := &c.load.recorder
	paced := c.load.mode == "paced"
	firstNs := int64(0)
	err = c.conn.Body(head, func(piece []byte) error {
		if !ok {
			return fmt.Errorf("%q %.200s", status, piece)
		}
		return reader.push(piece, func(sentNs, chunks int64) {
			if firstNs == 0 {
				firstNs = c.conn.ReadAtNs
			}
			if paced {
				recorder.chunk(c.conn.ReadAtNs, c.conn.ReadAtNs-sentNs)
			} else {
				recorder.chunks(c.conn.ReadAtNs, chunks)
			}
		})
	})
	if err != nil {
		return err
	}
	if !reader.done || reader.next != reader.chunks {
		return fmt.Errorf("a stream ended after %d of %d chunks, done: %t (%q)", reader.next, reader.chunks, reader.done, status)
	}
	recorder.stream(c.conn.ReadAtNs, firstNs-startNs)
	if close {
		return c.connect()
	}
	return nil
}

// eventReader finds the content of each event, whatever way a gateway cut and wrote the stream anew.
type eventReader struct {
	chunks  int
	next    int
	done    bool
	partial []byte
}

const (
	stampDigits = 16
	indexDigits = 4
)

var (
	dataField  = []byte("data:")
	doneMark   = []byte("[DONE]")
	contentKey = []byte(`"content":`)
	errorKey   = []byte(`"error"`)
)

func (r *eventReader) reset() {
	r.next, r.done, r.partial = 0, false, r.partial[:0]
}

// push calls `content` for each content event with the upstream's clock at its sending.
func (r *eventReader) push(piece []byte, content func(sentNs, chunks int64)) error {
	for {
		at := bytes.IndexByte(piece, '\n')
		if at < 0 {
			r.partial = append(r.partial, piece...)
			return nil
		}
		line := piece[:at]
		piece = piece[at+1:]
		if len(r.partial) > 0 {
			r.partial = append(r.partial, line...)
			line = r.partial
		}
		if err := r.line(line, content); err != nil {
			return err
		}
		r.partial = r.partial[:0]
	}
}

func (r *eventReader) line(line []byte, content func(sentNs, chunks int64)) error {
	if !bytes.HasPrefix(line, dataField) {
		return nil
	}
	if r.done {
		return errors.New("an event after [DONE]")
	}
	at := bytes.Index(line, contentKey)
	if at < 0 {
		if bytes.Contains(line, doneMark) {
			r.done = true
		} else if bytes.Contains(line, errorKey) {
			return fmt.Errorf("an error event: %.200s", line)
		}
		return nil
	}
	text := bytes.TrimLeft(line[at+len(contentKey):], " ")
	if len(text) < 1+stampDigits+indexDigits || text[0] != '"' || text[1] == '"' {
		return nil // no text: the role, the finish reason
	}
	sentNs, ok := wire.Hex(text[1 : 1+stampDigits])
	number, ok2 := wire.Hex(text[1+stampDigits : 1+stampDigits+indexDigits])
	if !ok || !ok2 || int(number) != r.next {
		return fmt.Errorf("chunk %d is not the next: %.200s", r.next, line)
	}
	r.next++
	content(int64(sentNs), 1)
	return nil
}
