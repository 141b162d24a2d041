DROP INDEX "jobs_approved_late";--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "step" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "step_hash" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "step_price" numeric(39,0);--> statement-breakpoint
CREATE INDEX "jobs_approved_late" ON "jobs" USING btree ("approved_until") WHERE state in ('expired', 'failed') and settlement_transaction is null;