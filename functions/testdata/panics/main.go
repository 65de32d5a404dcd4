// Program panics is a function that dies of each event.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() {
	lambda.Start(func() error { panic("out of tune") })
}
