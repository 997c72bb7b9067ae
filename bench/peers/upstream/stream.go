package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"qianmen/bench/peers/wire"
)

const (
	streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
	stamp      = "@@@@@@@@@@@@@@@@" // CLOCK_MONOTONIC ns, 16 hex digits
	index      = "####"             // of the chunk, 4 hex digits
	event      = `{"id":"chatcmpl-%s","object":"chat.completion.chunk","created":1700000000,"model":"fake-model","choices":[%s]%s}`
)

// One content event as vLLM sends it, in its own HTTP chunk: the form in which it comes from the socket of a real server.
var (
	contentChunk = framed(fmt.Sprintf(event, "0123456789abcdef0123456789abcdef",
		`{"index":0,"delta":{"content":"`+stamp+index+` tok"},"logprobs":null,"finish_reason":null,"token_ids":null}`, ""))
	roleChunk = framed(fmt.Sprintf(event, "0123456789abcdef0123456789abcdef",
		`{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`, ""))
	finishChunk = framed(fmt.Sprintf(event, "0123456789abcdef0123456789abcdef",
		`{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"length","stop_reason":null}`, ""))
	doneChunk = append(framed("[DONE]"), "0\r\n\r\n"...)
	stampAt   = bytes.Index(contentChunk, []byte(stamp))
	indexAt   = bytes.Index(contentChunk, []byte(index))
)

// A reply of about 1 KiB that carries the nonce of its request.
var (
	wholeReply   = buildWholeReply()
	wholeNonceAt = bytes.Index(wholeReply, []byte(noNonce))
)

const noNonce = "NNNNNNNN"

func framed(data string) []byte {
	payload := "data: " + data + "\n\n"
	return fmt.Appendf(nil, "%x\r\n%s\r\n", len(payload), payload)
}

func usageChunk(chunks int) []byte {
	return framed(fmt.Sprintf(event, "0123456789abcdef0123456789abcdef", "",
		fmt.Sprintf(`,"usage":{"prompt_tokens":200,"total_tokens":%d,"completion_tokens":%d}`, 200+chunks, chunks)))
}

// stream sends the head, the role and the first burst in one write, and then a burst per interval.
func stream(c *wire.Conn, d wire.Directive, usage bool) error {
	out := make([]byte, 0, len(streamHead)+len(roleChunk)+(d.Burst+1)*len(contentChunk)+1024)
	out = append(append(out, streamHead...), roleChunk...)
	startNs := wire.Nanotime()
	sent := 0
	for writes := int64(1); ; writes++ {
		now := uint64(wire.Nanotime())
		for n := min(d.Burst, d.Chunks-sent); n > 0; n-- {
			at := len(out)
			out = append(out, contentChunk...)
			wire.PutHex(out[at+stampAt:at+stampAt+len(stamp)], now)
			wire.PutHex(out[at+indexAt:at+indexAt+len(index)], uint64(sent))
			sent++
		}
		if sent == d.Chunks {
			break
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
		out = out[:0]
		if d.IntervalUs > 0 {
			time.Sleep(time.Duration(startNs + writes*int64(d.IntervalUs)*1000 - wire.Nanotime()))
		}
	}
	out = append(out, finishChunk...)
	if usage {
		out = append(out, usageChunk(d.Chunks)...)
	}
	_, err := c.Write(append(out, doneChunk...))
	return err
}

func buildWholeReply() []byte {
	text := noNonce + strings.Repeat(" The quick brown fox jumps over the lazy dog.", 14)
	body := fmt.Sprintf(`{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion","created":1700000000,"model":"fake-model",`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],`+
		`"usage":{"prompt_tokens":200,"total_tokens":350,"completion_tokens":150,"prompt_tokens_details":null}}`, text)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}
