package client_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"trackstore/shared/client"
)

// Uploads a file. An interrupted upload is gone on with by the same call with the same key.
func ExampleClient_Send() {
	file, err := os.Open("nocturne.flac")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		log.Fatal(err)
	}
	api := client.New(os.Getenv("TRACKSTORE_URL"), os.Getenv("TRACKSTORE_TOKEN"), client.Options{})
	upload, err := api.Send(context.Background(), "nocturne, take 3", client.Request{
		Title: "Nocturne", Filename: "nocturne.flac", Size: info.Size(),
	}, file, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(upload.State, upload.TrackID)
}
