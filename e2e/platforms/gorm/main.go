// Command gorm is a platform's program that knows nothing of trackstore: it loads rows, counts a play in each, and saves them
// whole, as GORM's Save does, for ROUNDS rounds and for as long as tracks lie in both places. It is told by a model that
// has the storage columns, as AutoMigrate's users copy them from their tables.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Track is a row of the platform's table, all of it.
type Track struct {
	ID               string `gorm:"type:uuid;primaryKey;default:gen_random_uuid()"`
	CreatorID        string `gorm:"type:uuid"`
	Title            string
	Genre            *string
	FilePath         string
	FileSize         int64
	Format           *string
	Status           string
	PlayCount        int64
	CreatedAt        *time.Time
	UpdatedAt        *time.Time
	DeletedAt        gorm.DeletedAt
	StorageBackend   string
	StorageKey       *string
	StorageVersionID *string
	StorageBucket    *string
	FileVersion      int64
	UploadSeq        int64
}

func main() {
	rounds, err := strconv.Atoi(os.Getenv("ROUNDS"))
	if err != nil {
		log.Fatal("ROUNDS: ", err)
	}
	db, err := gorm.Open(postgres.Open(os.Getenv("DATABASE_URL")), &gorm.Config{Logger: logger.Default.LogMode(logger.Silent)})
	if err != nil {
		log.Fatal(err)
	}
	n := 0
	for moving := true; n < rounds || moving; n++ {
		var tracks []Track
		if err := db.Find(&tracks).Error; err != nil {
			log.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // and meanwhile a flip
		for _, t := range tracks {
			t.PlayCount++
			if err := db.Save(&t).Error; err != nil {
				log.Fatal(err)
			}
		}
		var local, all int64
		if err := db.Model(&Track{}).Count(&all).Where("storage_backend = 'local'").Count(&local).Error; err != nil {
			log.Fatal(err)
		}
		moving = local > 0 && local < all
	}
	fmt.Println(n)
}
