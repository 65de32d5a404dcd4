package devstack

import (
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/events"
)

// deadLetters is the file of the events that failed again and again, a JSON object a line.
const deadLetters = "dead-letters.jsonl"

// bury keeps a dead letter where a person finds it.
func (s *stack) bury(m events.SQSMessage) {
	s.logger.Error("an event failed again and again, and was given up: the sweep will settle its upload",
		"message", m.MessageId, "file", s.state.join(deadLetters))
	line, err := json.Marshal(m)
	if err == nil {
		err = appendLine(s.state.join(deadLetters), line)
	}
	if err != nil {
		s.logger.Error("the dead letter could not be kept", "body", m.Body, "err", err)
	}
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}
