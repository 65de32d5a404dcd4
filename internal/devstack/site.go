package devstack

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// site is the stack's HTTP server: the API, the disk server below the path of its URL, and the console. It looks at
// paths as they are, for a mux would clean those of files.
func site(api, disk, console http.Handler, diskPath string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/" || strings.HasPrefix(path, "/console/"):
			console.ServeHTTP(w, r)
		case diskPath != "" && (path == diskPath || strings.HasPrefix(path, diskPath+"/")):
			disk.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// serveDisk serves the disk server at TRACK_LOCAL_URL: where that names another port of this machine, on a port of its
// own, else below its path on the API's, as it is reached directly or through what stands in front.
func (s *stack) serveDisk(disk http.Handler, apiPort int) (path string, err error) {
	url := s.settings.api.DiskServer.URL
	ip := net.ParseIP(url.Hostname())
	here := url.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if port := portOf(url.String()); here && port != 0 && port != apiPort {
		l, err := net.Listen("tcp", net.JoinHostPort(url.Hostname(), url.Port()))
		if err != nil {
			return "", fmt.Errorf("the disk server (TRACK_LOCAL_URL): %w", err)
		}
		s.goServe("the disk server", l, disk)
		return "", nil
	}
	if url.Path == "" || url.Path == "/" {
		return "", fmt.Errorf("TRACK_LOCAL_URL=%s has neither a path nor a port of this machine that is not the API's", url)
	}
	return url.Path, nil
}
