// A fake OpenAI-compatible server, cheap enough to stand behind any gateway on a core that it shares with the load
// generator. What it answers is told by a directive in the request (see wire.Directive); a body that did not arrive whole
// gets a 400.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"

	"qianmen/bench/peers/wire"
)

var stats struct {
	connections, requests, streams, bad atomic.Int64
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "loopback address")
	flag.Parse()
	debug.SetGCPercent(400)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		log.Fatal("only loopback addresses are served")
	}
	fmt.Printf("http://%s\n", listener.Addr())
	go endWithParent()
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		stats.connections.Add(1)
		go serve(wire.NewConn(connection))
	}
}

// The parent holds the other end of standard input: when it is gone, so are we.
func endWithParent() {
	var b [1]byte
	for {
		if n, err := os.Stdin.Read(b[:]); err != nil || n == 0 {
			os.Exit(0)
		}
	}
}

func serve(c *wire.Conn) {
	defer c.Close()
	var body, out []byte
	for {
		head, err := c.Head()
		if err != nil {
			return
		}
		close := wire.Contains(wire.Header(head, "connection"), "close")
		if wire.Contains(wire.Header(head, "expect"), "100-continue") {
			if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
				return
			}
		}
		isChat := bytes.HasPrefix(head, []byte("POST /v1/chat/completions"))
		path, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("GET ")), []byte(" "))
		other := otherReply(string(path))
		body = body[:0]
		err = c.Body(head, func(piece []byte) error {
			body = append(body, piece...)
			return nil
		})
		if err != nil {
			stats.bad.Add(1)
			return
		}
		if !isChat {
			out = appendReply(out[:0], 200, other)
		} else if out, err = chat(c, body, out); err != nil {
			return
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
		if close {
			return
		}
	}
}

// chat answers; what it returns is left to be written.
func chat(c *wire.Conn, body, out []byte) ([]byte, error) {
	directive, err := wire.ParseDirective(body)
	if err != nil {
		stats.bad.Add(1)
		message := fmt.Sprintf(`{"error":{"message":%q,"type":"BadRequestError","code":400}}`, err)
		return appendReply(out[:0], 400, message), nil
	}
	stats.requests.Add(1)
	if directive.Chunks > 0 {
		stats.streams.Add(1)
		return out[:0], stream(c, directive, wantsUsage(body))
	}
	out = append(out[:0], wholeReply...)
	copy(out[wholeNonceAt:], directive.Nonce)
	return out, nil
}

func wantsUsage(body []byte) bool {
	_, after, found := bytes.Cut(body, []byte(`"include_usage"`))
	return found && bytes.HasPrefix(bytes.TrimLeft(after, ": "), []byte("true"))
}

func otherReply(path string) string {
	switch path {
	case "/v1/models":
		return `{"object":"list","data":[{"id":"fake-model","object":"model","created":1700000000,"owned_by":"bench","max_model_len":131072}]}`
	case "/stats":
		return fmt.Sprintf(`{"connections":%d,"requests":%d,"streams":%d,"bad":%d}`,
			stats.connections.Load(), stats.requests.Load(), stats.streams.Load(), stats.bad.Load())
	case "/get_model_info", "/model_info":
		return `{"model_path":"fake-model","is_generation":true}`
	case "/get_server_info", "/server_info":
		return `{"model_path":"fake-model","served_model_name":"fake-model","tp_size":1,"dp_size":1,"version":"0"}`
	default: // /health and whatever else a router asks
		return `{}`
	}
}

func appendReply(out []byte, status int, body string) []byte {
	return fmt.Appendf(out, "HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", status, len(body), body)
}
