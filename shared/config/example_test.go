package config_test

import (
	"fmt"

	"trackstore/shared/config"
)

// A program asks for the struct of what it uses, and hears of every problem at once.
func ExampleLoad() {
	environment := map[string]string{
		"APP_ENV":               "production",
		"DATABASE_URL":          "postgres://trackstore:secret@db.example.com/platform?sslmode=verify-full",
		"TRACK_STORAGE_BACKEND": "S3",
	}
	_, err := config.Load[config.ObjectCreated](func(name string) string { return environment[name] })
	fmt.Println(err)
	// Output:
	// the configuration is not valid:
	//   TRACK_STORAGE_BACKEND="S3" is neither local nor s3 (rule 11); exactly so, in lower case; outside production local is used
}
