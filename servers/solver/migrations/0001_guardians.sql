CREATE TABLE "announcements" (
	"settlement_hash" text PRIMARY KEY NOT NULL,
	"payer" text NOT NULL,
	"token" text NOT NULL,
	"amount" numeric(39,0) NOT NULL,
	"expires_at" bigint NOT NULL,
	"block_number" bigint NOT NULL,
	"settlement" text
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "approved_until" bigint;--> statement-breakpoint
CREATE INDEX "announcements_payer" ON "announcements" USING btree ("payer","token");--> statement-breakpoint
CREATE INDEX "announcements_block" ON "announcements" USING btree ("block_number");--> statement-breakpoint
CREATE INDEX "jobs_approved_late" ON "jobs" USING btree ("approved_until") WHERE state = 'expired' and settlement_transaction is null;