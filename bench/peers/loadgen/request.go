package main

import (
	"fmt"
	"strings"

	"qianmen/bench/peers/wire"
)

type request struct {
	bytes     []byte
	nonceAt   int
	bodyBytes int
}

const words = "In the beginning the gate stood open, and whoever came by was let in and shown the way ~ "

// buildRequest writes head and body once; only the nonce changes from one request to the next.
func buildRequest(host, path string, o options) request {
	directive := wire.Directive{Nonce: []byte("00000000"), Burst: o.burst}
	if o.mode == "stream" || o.mode == "paced" {
		directive.Chunks = o.chunks
	}
	if o.mode == "paced" {
		directive.IntervalUs = o.intervalUs
	}
	texts := make([]string, o.messages)
	for i := range texts {
		text := strings.Repeat(words, o.contentBytes/o.messages/len(words)+1)
		texts[i] = text[:o.contentBytes/o.messages]
		directive.Filler += strings.Count(texts[i], string(wire.Filler))
	}
	texts[0] = directive.Text() + texts[0]

	var body strings.Builder
	fmt.Fprintf(&body, `{"model":%q,"messages":[`, o.model)
	for i, text := range texts {
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		separator := ","
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(&body, `%s{"role":%q,"content":%q}`, separator, role, text)
	}
	fmt.Fprintf(&body, `],"max_tokens":%d,"temperature":0.7`, max(1, directive.Chunks))
	if directive.Chunks > 0 {
		body.WriteString(`,"stream":true`)
	}
	body.WriteString("}")

	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: loadgen\r\n", path, host)
	for _, header := range o.headers {
		head.WriteString(header + "\r\n")
	}
	fmt.Fprintf(&head, "content-length: %d\r\n\r\n", body.Len())
	whole := []byte(head.String() + body.String())
	return request{bytes: whole, nonceAt: wire.NonceOffset(whole), bodyBytes: body.Len()}
}
