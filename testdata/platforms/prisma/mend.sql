-- In schema.prisma: creatorId @map("creator_id"), filePath @map("file_path"), updatedAt @default(now()) @updatedAt, and the
-- values of the enum. A unique index over some rows alone is beyond Prisma's language, and stays in its SQL migration.
ALTER TABLE "Track" RENAME COLUMN "creatorId" TO creator_id;
ALTER TABLE "Track" RENAME COLUMN "filePath" TO file_path;
ALTER TABLE "Track" ALTER COLUMN "updatedAt" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TYPE "TrackStatus" ADD VALUE 'uploading';
ALTER TYPE "TrackStatus" ADD VALUE 'ready';
ALTER TYPE "TrackStatus" ADD VALUE 'failed';
DROP INDEX "Track_filePath_key";
CREATE UNIQUE INDEX "Track_filePath_key" ON "Track" (file_path) WHERE file_path <> '';
