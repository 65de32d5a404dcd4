// Command main uploads a file and writes what is played of it to standard output.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"trackstore/e2e/clients/go/api"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// run takes the file's path; the server and the token come from the environment.
func run(ctx context.Context, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	client, err := api.NewClientWithResponses(os.Getenv("TRACKSTORE_URL"), api.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+os.Getenv("TRACKSTORE_TOKEN"))
			return nil
		}))
	if err != nil {
		return err
	}
	title, key, method, direct := "Nocturne", "a-key", api.MethodPut, "0"

	refused, err := client.OpenUploadWithResponse(ctx, nil, api.OpenUpload{Title: &title, Filename: "song.exe", Size: 1})
	if err != nil {
		return err
	}
	if p := refused.ApplicationproblemJSON415; p == nil || p.Code != api.ProblemCodeUnsupportedMediaType {
		return fmt.Errorf("song.exe: %s %s", refused.Status(), refused.Body)
	}

	sum := sha256.Sum256(content)
	opened, err := client.OpenUploadWithResponse(ctx, &api.OpenUploadParams{IdempotencyKey: &key}, api.OpenUpload{
		Title: &title, Filename: filepath.Base(path), Size: int64(len(content)), Method: &method,
		Checksum: &api.Checksum{Algorithm: api.SHA256, Value: base64.StdEncoding.EncodeToString(sum[:])},
	})
	if err != nil {
		return err
	}
	ticket := opened.JSON201
	if ticket == nil || ticket.Put == nil {
		return fmt.Errorf("open: %s %s", opened.Status(), opened.Body)
	}
	if _, err := fetch(ctx, http.MethodPut, ticket.Put.Url, ticket.Put.Headers, content); err != nil {
		return err
	}

	upload, err := client.CompleteUploadWithResponse(ctx, ticket.UploadId.String(), api.CompleteUpload{})
	if err != nil {
		return err
	}
	if upload.JSON200 == nil || upload.JSON200.State != api.StateStored || upload.JSON200.Reason != nil {
		return fmt.Errorf("complete: %s %s", upload.Status(), upload.Body)
	}

	playable, err := client.GetAudioWithResponse(ctx, upload.JSON200.TrackId.String(), &api.GetAudioParams{Redirect: &direct})
	if err != nil {
		return err
	}
	if playable.JSON200 == nil || playable.JSON200.Size != int64(len(content)) {
		return fmt.Errorf("audio: %s %s", playable.Status(), playable.Body)
	}
	played, err := fetch(ctx, http.MethodGet, playable.JSON200.Url, nil, nil)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(played)
	return err
}

func fetch(ctx context.Context, method, url string, headers map[string]string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", method, response.Status, answer)
	}
	return answer, err
}
