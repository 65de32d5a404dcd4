-- A Node backend with Prisma: names in the case of the models, an enum, times without a zone, updatedAt filled in by the client.
CREATE TYPE "TrackStatus" AS ENUM ('DRAFT', 'PUBLISHED');
CREATE TABLE "User" (
    "id"        uuid NOT NULL DEFAULT gen_random_uuid(),
    "email"     text NOT NULL,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "User_email_key" ON "User" ("email");
CREATE TABLE "Track" (
    "id"        uuid NOT NULL DEFAULT gen_random_uuid(),
    "title"     text NOT NULL,
    "filePath"  text,
    "status"    "TrackStatus" NOT NULL DEFAULT 'DRAFT',
    "plays"     integer NOT NULL DEFAULT 0,
    "tags"      text[] DEFAULT ARRAY[]::text[],
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    "creatorId" uuid NOT NULL,
    CONSTRAINT "Track_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Track_creatorId_fkey" FOREIGN KEY ("creatorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Track_filePath_key" ON "Track" ("filePath");

INSERT INTO "User" VALUES ('11111111-1111-4111-8111-111111111111', 'ada@example.com'), (gen_random_uuid(), 'bob@example.com');
INSERT INTO "Track" ("title", "filePath", "status", "updatedAt", "creatorId")
SELECT 'Take ' || n, 'music/' || email || '/' || n || '.ogg', 'PUBLISHED', now(), "User"."id" FROM "User", generate_series(1, 8) AS n;
