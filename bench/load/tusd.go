package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tusd loads a tus server, which it starts. A client of tus creates an upload, and sends the file to it.
func tusd(program string, web *http.Client, clients int, span time.Duration) error {
	server := exec.Command(program)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = stdin.Close() // at which it ends
		_ = server.Wait()
	}()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s: it printed no URL: %w", program, err)
	}
	url = strings.TrimSpace(url)
	return measure("tusd", slices.Repeat([]upload{func(file []byte) error {
		location, err := tus(web, http.MethodPost, url, http.StatusCreated, nil, "Upload-Length", strconv.Itoa(len(file)))
		if err != nil {
			return err
		}
		_, err = tus(web, http.MethodPatch, location, http.StatusNoContent, file,
			"Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
		return err
	}}, clients), span)
}

// tus sends a request with headers, as pairs of name and value, and returns the answer's Location.
func tus(web *http.Client, method, url string, want int, body []byte, headers ...string) (string, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Tus-Resumable", "1.0.0")
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	response, err := web.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		return "", fmt.Errorf("%s answered %s: %s", method, response.Status, text)
	}
	return response.Header.Get("Location"), nil
}
