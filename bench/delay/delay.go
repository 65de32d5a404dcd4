// Package delay puts a server at a distance: a proxy that holds each byte of its answers back for a while, and limits
// nothing else.
package delay

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"
)

// Proxy is a way to a server. It takes any number of connections at once.
type Proxy struct {
	URL string // of the server, by way of the proxy

	listener net.Listener
	server   string
	by       time.Duration // how much later answers arrive

	mu       sync.Mutex
	open     map[net.Conn]struct{} // nil: closed
	handling sync.WaitGroup
}

// New returns a proxy to the server whose URL target is. Each answer reaches its client by so much later than without it.
func New(target string, by time.Duration) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("delay: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("delay: %w", err)
	}
	p := &Proxy{listener: listener, server: u.Host, by: by, open: map[net.Conn]struct{}{}}
	u.Host = listener.Addr().String()
	p.URL = u.String()
	p.handling.Go(p.accept)
	return p, nil
}

// Close ends all connections, and waits for them.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		conn.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.handling.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		if p.keep(client) {
			p.handling.Go(func() {
				defer p.end(client)
				p.serve(client)
			})
		}
	}
}

// keep has Close end a connection. After it, that is done at once.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		conn.Close()
		return false
	}
	p.open[conn] = struct{}{}
	return true
}

func (p *Proxy) end(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, open := p.open[conn]; open {
		delete(p.open, conn)
		conn.Close()
	}
}

// serve passes a client's connection on until the server has closed its own.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.end(server)
	p.handling.Go(func() {
		_, _ = io.Copy(server, client) // in the kernel, where it can
		_ = server.(*net.TCPConn).CloseWrite()
	})
	answers := make(chan piece, 1<<10)
	p.handling.Go(func() {
		defer close(answers)
		p.read(server, answers)
	})
	for answer := range answers {
		time.Sleep(time.Until(answer.due))
		if _, err := client.Write(answer.bytes); err != nil {
			server.Close() // nobody is there any more
		}
	}
}

// piece is a part of an answer, and when it is to arrive.
type piece struct {
	bytes []byte
	due   time.Time
}

// read takes answers in as they come, whether or not those before them have arrived.
func (p *Proxy) read(server net.Conn, answers chan<- piece) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if n > 0 {
			answers <- piece{append([]byte(nil), buffer[:n]...), time.Now().Add(p.by)}
		}
		if err != nil {
			return
		}
	}
}
