package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

const bufferBytes = 64 * 1024

var headEnd = []byte("\r\n\r\n")

// Conn reads HTTP/1.1 messages from a connection.
type Conn struct {
	net.Conn
	// ReadAtNs is when the last read of the socket returned.
	ReadAtNs int64

	buffer      []byte
	start, stop int
}

func NewConn(c net.Conn) *Conn {
	return &Conn{Conn: c, buffer: make([]byte, bufferBytes)}
}

// Head returns the start line and the headers with the blank line that ends them. Valid until the next call.
func (c *Conn) Head() ([]byte, error) {
	for {
		unread := c.buffer[c.start:c.stop]
		if at := bytes.Index(unread, headEnd); at >= 0 {
			head := unread[:at+len(headEnd)]
			c.start += len(head)
			return head, nil
		}
		if len(unread) == len(c.buffer) {
			return nil, errors.New("the head is too long")
		}
		if err := c.fill(); err != nil {
			if err == io.EOF && len(unread) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// Body hands the body that follows `head` to `take`, piece by piece and without the chunked framing. A message
// without a length has no body.
func (c *Conn) Body(head []byte, take func([]byte) error) error {
	if Contains(Header(head, "transfer-encoding"), "chunked") {
		return c.chunked(take)
	}
	given := Header(head, "content-length")
	if given == nil {
		return nil
	}
	length, err := strconv.Atoi(string(given))
	if err != nil {
		return err
	}
	return c.exactly(length, take)
}

func (c *Conn) chunked(take func([]byte) error) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, err := hexSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			for len(line) > 0 { // trailers, and the blank line after them
				if line, err = c.line(); err != nil {
					return err
				}
			}
			return nil
		}
		if err := c.exactly(size, take); err != nil {
			return err
		}
		if line, err = c.line(); err != nil {
			return err
		} else if len(line) > 0 {
			return fmt.Errorf("a chunk is longer than it says: %.40q", line)
		}
	}
}

func hexSize(line []byte) (int, error) {
	size, digits := 0, 0
	for _, b := range line {
		switch {
		case b >= '0' && b <= '9':
			size = size<<4 | int(b-'0')
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			size = size<<4 | int(b|0x20-'a'+10)
		case (b == ';' || b == ' ') && digits > 0:
			return size, nil
		default:
			return 0, fmt.Errorf("not a chunk size: %.40q", line)
		}
		if digits++; digits > 7 {
			return 0, fmt.Errorf("a chunk is too long: %.40q", line)
		}
	}
	if digits == 0 {
		return 0, errors.New("a chunk size is missing")
	}
	return size, nil
}

func (c *Conn) exactly(length int, take func([]byte) error) error {
	for length > 0 {
		if c.start == c.stop {
			if err := c.fill(); err != nil {
				return unexpected(err)
			}
		}
		piece := c.buffer[c.start:c.stop]
		if len(piece) > length {
			piece = piece[:length]
		}
		c.start += len(piece)
		length -= len(piece)
		if err := take(piece); err != nil {
			return err
		}
	}
	return nil
}

// line returns the next line without its end.
func (c *Conn) line() ([]byte, error) {
	for {
		unread := c.buffer[c.start:c.stop]
		if at := bytes.IndexByte(unread, '\n'); at >= 0 {
			c.start += at + 1
			return bytes.TrimSuffix(unread[:at], []byte("\r")), nil
		}
		if err := c.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
}

func (c *Conn) fill() error {
	if c.start == c.stop {
		c.start, c.stop = 0, 0
	} else if c.stop == len(c.buffer) {
		c.stop = copy(c.buffer, c.buffer[c.start:c.stop])
		c.start = 0
	}
	n, err := c.Conn.Read(c.buffer[c.stop:])
	c.ReadAtNs = Nanotime()
	c.stop += n
	if n > 0 {
		return nil
	}
	return err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Header returns the value of the first header of that lower-case name, or nil.
func Header(head []byte, name string) []byte {
	for rest := head; ; {
		at := bytes.IndexByte(rest, '\n')
		if at < 0 {
			return nil
		}
		rest = rest[at+1:]
		if len(rest) <= len(name) || rest[len(name)] != ':' || !equalFold(rest[:len(name)], name) {
			continue
		}
		value := rest[len(name)+1:]
		if end := bytes.IndexByte(value, '\r'); end >= 0 {
			value = value[:end]
		}
		return bytes.TrimSpace(value)
	}
}

// Contains reports whether the value has the lower-case word in it, whatever its case.
func Contains(value []byte, word string) bool {
	for ; len(value) >= len(word); value = value[1:] {
		if equalFold(value[:len(word)], word) {
			return true
		}
	}
	return false
}

func equalFold(b []byte, lower string) bool {
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
