package wire

import (
	"bytes"
	"fmt"
	"strconv"
)

// Directive tells the upstream how to answer. It stands in the text of the first message, because that is the one thing
// which every gateway passes on as it came:
//
//	@bench nonce=0000002a filler=812 chunks=100 interval=20000 burst=1 @
//
// Nonce and filler let each side verify the other: the reply carries the nonce, and the body must hold as many fillers.
type Directive struct {
	// Nonce is 8 hexadecimal digits.
	Nonce []byte
	// Filler is how often Filler stands in the body.
	Filler int
	// Chunks of content in a streamed reply.
	Chunks int
	// IntervalUs is the time between two writes; 0: as fast as the connection takes them.
	IntervalUs int
	// Burst is how many chunks one write carries.
	Burst int
}

const (
	// Filler stands nowhere in JSON, model names or the parameters that gateways add.
	Filler      = '~'
	nonceDigits = 8
)

var directiveStart = []byte("@bench nonce=")

// Text writes the directive.
func (d Directive) Text() string {
	return fmt.Sprintf("%s%s filler=%d chunks=%d interval=%d burst=%d @",
		directiveStart, d.Nonce, d.Filler, d.Chunks, d.IntervalUs, d.Burst)
}

// NonceOffset is where in the body the nonce lies, or -1.
func NonceOffset(body []byte) int {
	at := bytes.Index(body, directiveStart)
	if at < 0 || len(body) < at+len(directiveStart)+nonceDigits {
		return -1
	}
	return at + len(directiveStart)
}

// ParseDirective finds the directive in the body of a request and checks that the body is whole.
func ParseDirective(body []byte) (Directive, error) {
	at := NonceOffset(body)
	if at < 0 {
		return Directive{}, fmt.Errorf("no directive in a body of %d bytes", len(body))
	}
	d := Directive{Nonce: body[at : at+nonceDigits], Burst: 1}
	rest := body[at+nonceDigits:]
	end := bytes.IndexByte(rest, '@')
	if end < 0 {
		return Directive{}, fmt.Errorf("the directive does not end")
	}
	for _, field := range bytes.Fields(rest[:end]) {
		key, value, _ := bytes.Cut(field, []byte("="))
		n, err := strconv.Atoi(string(value))
		if err != nil {
			return Directive{}, err
		}
		switch string(key) {
		case "filler":
			d.Filler = n
		case "chunks":
			d.Chunks = n
		case "interval":
			d.IntervalUs = n
		case "burst":
			d.Burst = n
		}
	}
	if found := bytes.Count(body, []byte{Filler}); found != d.Filler {
		return Directive{}, fmt.Errorf("the body is not whole: %d of %d fillers", found, d.Filler)
	}
	return d, nil
}

const hexDigits = "0123456789abcdef"

// PutHex writes the value into all of `to`, most significant digit first.
func PutHex(to []byte, value uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = hexDigits[value&15]
		value >>= 4
	}
}

// Hex reads lower-case digits; ok is false if there is anything else.
func Hex(from []byte) (value uint64, ok bool) {
	for _, b := range from {
		switch {
		case b >= '0' && b <= '9':
			value = value<<4 | uint64(b-'0')
		case b >= 'a' && b <= 'f':
			value = value<<4 | uint64(b-'a'+10)
		default:
			return 0, false
		}
	}
	return value, true
}
