package migrate

import (
	"context"
	"fmt"
)

// prove asks disk and S3 whether they answer, and are who they should be. Absence counts only
// in a place that has proved it (R7).
func prove(ctx context.Context, files Files, bucket Bucket) error {
	if err := bucket.Prove(ctx); err != nil {
		return fmt.Errorf("S3 does not answer as it should: %w", err)
	}
	if err := files.Prove(ctx); err != nil {
		return fmt.Errorf("the root of the files on disk: %w", err)
	}
	return nil
}
