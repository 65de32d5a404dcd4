package devstack

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"trackstore/shared/config"
)

// The files that tell other programs how to reach the stack. They are there while it runs.
const (
	envFile    = "env"
	samEnvFile = "sam-env.json"
)

// writeEnv writes the files. Containers reach this machine by the name host; empty: they share its network.
func (e *environment) writeEnv(dir *stateDir, host string) error {
	sam, err := e.samEnv(host)
	if err != nil {
		return err
	}
	if err := dir.write(samEnvFile, sam); err != nil {
		return err
	}
	return dir.write(envFile, []byte(e.shellEnv()))
}

// clients are variables that other programs than trackstore's own read.
var clients = []string{"AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// shellEnv lists all variables in a form that a shell can source.
func (e *environment) shellEnv() string {
	var b strings.Builder
	b.WriteString("# The running local stack. For a shell: set -a; . this file; set +a\n")
	for _, name := range append(declared(), clients...) {
		// A token that is left over in the shell would not fit the keys: it is set to nothing.
		if value := e.get(name); value != "" || name == "AWS_SESSION_TOKEN" {
			fmt.Fprintf(&b, "%s=%s\n", name, shellQuote(value))
		}
	}
	return b.String()
}

// declared names trackstore's variables, those of the local stack itself left out.
func declared() []string {
	var names []string
	for _, v := range config.Variables() {
		if v.Name != "PORT" && v.Name != "TRACKSTORE_DEV_DIR" {
			names = append(names, v.Name)
		}
	}
	return names
}

// shellQuote quotes a value such that every shell takes it as it is.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// functions maps the programs of package config that are functions to their logical ids in template.yaml.
var functions = map[string]string{
	"presign-upload": "PresignUploadFunction",
	"object-created": "ObjectCreatedFunction",
	"migrate-batch":  "MigrateBatchFunction",
	"sweep-uploads":  "SweepUploadsFunction",
	"deliver-events": "DeliverEventsFunction",
	"migrate-schema": "MigrateSchemaFunction",
}

// containerDisk is where `sam local invoke` mounts a link called tracks at the top of a function's build.
const containerDisk = "/var/task/tracks"

// samEnv is the --env-vars file of sam local: for each function, the variables that it reads. All of them, also those
// that are not set: what stands in template.yaml is for a deployment.
func (e *environment) samEnv(host string) ([]byte, error) {
	blocks := make(map[string]map[string]string)
	for _, program := range config.Programs() {
		id, ok := functions[program.Name]
		if !ok {
			continue
		}
		blocks[id] = make(map[string]string)
		for _, name := range program.Variables {
			value := e.get(name)
			switch name {
			case "DATABASE_URL", "AWS_S3_ENDPOINT":
				value = rehost(value, host)
			case "TRACK_LOCAL_DIR":
				value = containerDisk
			}
			blocks[id][name] = value
		}
	}
	b, err := json.MarshalIndent(blocks, "", "  ")
	return append(b, '\n'), err
}

// rehost puts another name in the place of this machine's own into a URL.
func rehost(rawURL, host string) string {
	u, err := url.Parse(rawURL)
	if err != nil || host == "" || u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return rawURL
	}
	u.Host = strings.Replace(u.Host, u.Hostname(), host, 1)
	return u.String()
}
