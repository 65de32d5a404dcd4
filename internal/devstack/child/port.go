package child

import (
	"fmt"
	"net"
)

// FreePort names a TCP port of 127.0.0.1 that nobody listens on. Somebody else may take it before it is used: a server
// that cannot bind it is to be started again with another.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
