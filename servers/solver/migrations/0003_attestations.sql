CREATE TABLE "attestations" (
	"digest" text PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"attestation" text NOT NULL,
	"received_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "attestations_provider" ON "attestations" USING btree ("provider","received_at");--> statement-breakpoint
CREATE INDEX "attestations_received" ON "attestations" USING btree ("received_at");