package main

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"qianmen/bench/peers/wire"
)

func (l *load) closedClient(c *client) {
	var body []byte
	for !c.stopped() {
		startNs := wire.Nanotime()
		err := c.send()
		if err == nil {
			body, err = c.receive(body)
		}
		if err != nil {
			if !c.failed(err) {
				return
			}
			continue
		}
		l.recorder.whole(c.conn.ReadAtNs, c.conn.ReadAtNs-startNs)
	}
}

var okStatus = []byte("HTTP/1.1 200")

// receive reads a whole reply and checks that it is the one to the request just sent. It connects anew if the server
// closes the connection, which Reconnects tells.
func (c *client) receive(body []byte) ([]byte, error) {
	head, err := c.conn.Head()
	if err != nil {
		return body, err
	}
	ok := bytes.HasPrefix(head, okStatus)
	close := wire.Contains(wire.Header(head, "connection"), "close")
	status := string(head[:min(len(head), 30)])
	body = body[:0]
	err = c.conn.Body(head, func(piece []byte) error {
		body = append(body, piece...)
		return nil
	})
	if err != nil {
		return body, err
	}
	if !ok {
		return body, fmt.Errorf("%q %.200s", status, body)
	}
	if !bytes.Contains(body, c.nonce) || body[len(body)-1] != '}' || !bytes.Contains(body, lastWords) {
		return body, fmt.Errorf("not the reply to this request: %.200s", body)
	}
	if close {
		return body, c.connect()
	}
	return body, nil
}

var lastWords = []byte("over the lazy dog.\"")

// openClients are idle connections, and the goroutine per connection that reads its replies.
type openClients struct {
	load *load
	mu   sync.Mutex
	idle []*openClient
	made int
}

type openClient struct {
	*client
	due chan int64
}

// maxOpenClients bounds what a gateway that cannot keep up may pile up; later requests fail.
const maxOpenClients = 512

// startOpen sends at a fixed rate from one thread of its own: Go's timers are a millisecond coarse, nanosleep is not.
func (l *load) startOpen() error {
	pool := &openClients{load: l}
	for i := 0; i < l.connections; i++ {
		c, err := pool.add()
		if err != nil {
			return err
		}
		pool.release(c)
	}
	l.clients.Add(1)
	go func() {
		defer l.clients.Done()
		runtime.LockOSThread()
		const setTimerSlack = 29
		syscall.Syscall(syscall.SYS_PRCTL, setTimerSlack, 1000, 0)
		period := int64(time.Second) / int64(l.ratePerSecond)
		for due := wire.Nanotime(); ; due += period {
			if wait := due - wire.Nanotime(); wait > 0 {
				timespec := syscall.NsecToTimespec(wait)
				syscall.Nanosleep(&timespec, nil)
			}
			select {
			case <-l.stop:
				pool.close()
				return
			default:
			}
			pool.send(due)
		}
	}()
	return nil
}

func (p *openClients) send(dueNs int64) {
	c := p.take()
	if c == nil {
		var err error
		if c, err = p.add(); err != nil {
			p.load.recorder.failed(err)
			return
		}
	}
	if err := c.client.send(); err != nil {
		p.load.recorder.failed(err)
		if c.connect() == nil {
			p.release(c)
		}
		return
	}
	c.due <- dueNs
}

func (p *openClients) add() (*openClient, error) {
	p.mu.Lock()
	p.made++
	number := p.made
	p.mu.Unlock()
	if number > maxOpenClients {
		return nil, fmt.Errorf("%d requests are open: the gateway cannot keep up", maxOpenClients)
	}
	made, err := p.load.newClient(number)
	if err != nil {
		return nil, err
	}
	c := &openClient{client: made, due: make(chan int64, 1)}
	p.load.clients.Add(1)
	go func() {
		defer p.load.clients.Done()
		p.receiveAll(c)
	}()
	return c, nil
}

func (p *openClients) receiveAll(c *openClient) {
	var body []byte
	for dueNs := range c.due {
		var err error
		if body, err = c.receive(body); err != nil {
			if !c.failed(err) {
				return
			}
		} else {
			p.load.recorder.whole(c.conn.ReadAtNs, c.conn.ReadAtNs-dueNs)
		}
		p.release(c)
	}
}

func (p *openClients) take() *openClient {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return c
}

func (p *openClients) release(c *openClient) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.load.stop:
		close(c.due)
	default:
		p.idle = append(p.idle, c)
	}
}

func (p *openClients) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		close(c.due)
	}
	p.idle = nil
}
