DROP INDEX "reservations_key";--> statement-breakpoint
CREATE INDEX "reservations_key" ON "reservations" USING btree ("payer","key","token") WHERE held > 0;