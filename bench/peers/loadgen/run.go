package main

import (
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"qianmen/bench/peers/wire"
)

// load is one run: the clients, the clock, and what they saw.
type load struct {
	options
	address  string
	request  request
	recorder recorder
	// Clients begin nothing new once it is closed.
	stop chan struct{}
	// Connections opened anew since the window began; a gateway that keeps them alive causes none.
	reconnects atomic.Int64
	measuring  atomic.Bool
	open       sync.Map
	clients    sync.WaitGroup
}

// Result is what the run prints. Durations are in microseconds.
type Result struct {
	Mode          string             `json:"mode"`
	WindowS       float64            `json:"windowS"`
	Requests      int                `json:"requests"`
	Errors        int                `json:"errors"`
	ErrorSamples  []string           `json:"errorSamples"`
	Reconnects    int64              `json:"reconnects"`
	PerSecond     float64            `json:"perSecond"`
	Latency       *Percentiles       `json:"latencyUs,omitempty"`
	Ttft          *Percentiles       `json:"ttftUs,omitempty"`
	ChunkDelay    *Percentiles       `json:"chunkDelayUs,omitempty"`
	Chunks        int                `json:"chunks"`
	ChunksPerS    float64            `json:"chunksPerSecond"`
	BodyBytes     int                `json:"bodyBytes"`
	CpuS          map[string]float64 `json:"cpuS"`
	RssBytes      map[string]int64   `json:"rssBytes"`
	MissedClients int                `json:"missedClients"`
}

func run(o options) (*Result, error) {
	target, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	address, err := net.ResolveTCPAddr("tcp", target.Host)
	if err != nil {
		return nil, err
	}
	if !address.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", target.Host)
	}
	l := &load{options: o, address: address.String(), stop: make(chan struct{})}
	l.request = buildRequest(target.Host, target.Path, o)
	if err := l.start(); err != nil {
		return nil, err
	}

	time.Sleep(o.warmup)
	before := o.watch.cpuS()
	l.measuring.Store(true)
	startNs := l.recorder.begin()
	time.Sleep(o.window / 2)
	rss := o.watch.rssBytes()
	time.Sleep(o.window - o.window/2)
	endNs := l.recorder.end()
	after := o.watch.cpuS()
	close(l.stop)
	missed := l.waitForClients(5 * time.Second)

	windowS := float64(endNs-startNs) / 1e9
	result := l.recorder.result(windowS)
	result.Mode = o.mode
	result.BodyBytes = l.request.bodyBytes
	result.Reconnects = l.reconnects.Load()
	result.RssBytes = rss
	result.CpuS = map[string]float64{}
	for name, s := range after {
		result.CpuS[name] = s - before[name]
	}
	result.MissedClients = missed
	return result, nil
}

func (l *load) start() error {
	if l.mode == "open" {
		return l.startOpen()
	}
	var client func(c *client)
	switch l.mode {
	case "closed":
		client = l.closedClient
	case "stream", "paced":
		client = l.streamClient
	default:
		return fmt.Errorf("unknown mode %q", l.mode)
	}
	for i := 0; i < l.connections; i++ {
		c, err := l.newClient(i)
		if err != nil {
			return err
		}
		l.clients.Add(1)
		go func() {
			defer l.clients.Done()
			client(c)
		}()
	}
	return nil
}

// waitForClients gives what still runs some time, then breaks it off. Returns 1 if it had to, else 0.
func (l *load) waitForClients(limit time.Duration) int {
	done := make(chan struct{})
	go func() {
		l.clients.Wait()
		close(done)
	}()
	select {
	case <-done:
		return 0
	case <-time.After(limit):
	}
	l.open.Range(func(key, _ any) bool {
		key.(net.Conn).Close()
		return true
	})
	return 1
}

// client is one connection and the request that it sends again and again.
type client struct {
	load    *load
	number  int
	conn    *wire.Conn
	request []byte
	nonce   []byte
	count   uint64
}

func (l *load) newClient(number int) (*client, error) {
	c := &client{load: l, number: number, request: append([]byte(nil), l.request.bytes...)}
	c.nonce = c.request[l.request.nonceAt : l.request.nonceAt+8]
	return c, c.connect()
}

func (c *client) connect() error {
	if c.conn != nil {
		c.load.open.Delete(c.conn.Conn)
		c.conn.Close()
		if c.load.measuring.Load() {
			c.load.reconnects.Add(1)
		}
	}
	connection, err := net.DialTimeout("tcp", c.load.address, 5*time.Second)
	if err != nil {
		return err
	}
	c.load.open.Store(connection, true)
	c.conn = wire.NewConn(connection)
	return nil
}

// send writes the next request, with a nonce of its own.
func (c *client) send() error {
	c.count++
	wire.PutHex(c.nonce, uint64(c.number)<<20|c.count&0xfffff)
	_, err := c.conn.Write(c.request)
	return err
}

// failed counts an error and connects anew, not too often.
func (c *client) failed(err error) bool {
	select {
	case <-c.load.stop:
		return false
	default:
	}
	c.load.recorder.failed(err)
	time.Sleep(20 * time.Millisecond)
	return c.connect() == nil
}

func (c *client) stopped() bool {
	select {
	case <-c.load.stop:
		return true
	default:
		return false
	}
}
