CREATE TABLE "chain_cursors" (
	"name" text PRIMARY KEY NOT NULL,
	"block_number" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "job_events" (
	"order_hash" text NOT NULL,
	"sequence" bigint NOT NULL,
	"event" text NOT NULL,
	CONSTRAINT "job_events_order_hash_sequence_pk" PRIMARY KEY("order_hash","sequence")
);
--> statement-breakpoint
CREATE TABLE "job_files" (
	"order_hash" text NOT NULL,
	"direction" text NOT NULL,
	"sha256" text NOT NULL,
	"bytes" bigint NOT NULL,
	"present" boolean NOT NULL,
	CONSTRAINT "job_files_order_hash_direction_sha256_pk" PRIMARY KEY("order_hash","direction","sha256")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"order_hash" text PRIMARY KEY NOT NULL,
	"state" text NOT NULL,
	"payer" text NOT NULL,
	"key" text NOT NULL,
	"provider" text NOT NULL,
	"token" text NOT NULL,
	"module_version" text NOT NULL,
	"lane_id" text NOT NULL,
	"nonce" bigint NOT NULL,
	"start_by" bigint NOT NULL,
	"deliver_by" bigint NOT NULL,
	"request" text NOT NULL,
	"order" text NOT NULL,
	"reservation" text NOT NULL,
	"missing_inputs" integer NOT NULL,
	"accepted_at" bigint,
	"progress_fraction" text,
	"progress_text" text,
	"log_bytes" bigint DEFAULT 0 NOT NULL,
	"delivery" text,
	"receipt_hash" text,
	"price" numeric(39,0),
	"run_milliseconds" bigint,
	"acknowledgement" text,
	"acknowledgement_index" bigint,
	"acknowledgement_received" boolean DEFAULT false NOT NULL,
	"settlement_transaction" text,
	"settlement_block" bigint,
	"settlement_price" numeric(39,0),
	"reason_code" text,
	"reason_message" text,
	"event_sequence" bigint DEFAULT 0 NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "lanes" (
	"lane_id" text PRIMARY KEY NOT NULL,
	"jobs" bigint NOT NULL,
	"cumulative_amount" numeric(39,0) NOT NULL,
	"records_hash" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ledgers" (
	"payer" text NOT NULL,
	"token" text NOT NULL,
	"sequence" bigint NOT NULL,
	"head" text NOT NULL,
	"outstanding" numeric(39,0) NOT NULL,
	"settlements" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "ledgers_payer_token_pk" PRIMARY KEY("payer","token")
);
--> statement-breakpoint
CREATE TABLE "modules" (
	"module_version" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"author" text NOT NULL,
	"manifest_digest" text NOT NULL,
	"fee_bips" integer NOT NULL,
	"deprecated" boolean DEFAULT false NOT NULL,
	"published_at_block" bigint NOT NULL,
	"manifest" text NOT NULL,
	"created_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "reservations" (
	"payer" text NOT NULL,
	"token" text NOT NULL,
	"sequence" bigint NOT NULL,
	"order_hash" text NOT NULL,
	"key" text NOT NULL,
	"previous" text NOT NULL,
	"hash" text NOT NULL,
	"amount" numeric(39,0) NOT NULL,
	"held" numeric(39,0) NOT NULL,
	"reserved_at" bigint NOT NULL,
	"released_at" bigint,
	CONSTRAINT "reservations_payer_token_sequence_pk" PRIMARY KEY("payer","token","sequence"),
	CONSTRAINT "reservations_order_hash_unique" UNIQUE("order_hash")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_lane_nonce" ON "jobs" USING btree ("lane_id","nonce");--> statement-breakpoint
CREATE INDEX "jobs_provider_state" ON "jobs" USING btree ("provider","state");--> statement-breakpoint
CREATE INDEX "jobs_state_updated" ON "jobs" USING btree ("state","updated_at");--> statement-breakpoint
CREATE INDEX "jobs_settlement_block" ON "jobs" USING btree ("settlement_block");--> statement-breakpoint
CREATE INDEX "jobs_module" ON "jobs" USING btree ("module_version","updated_at");--> statement-breakpoint
CREATE INDEX "modules_name" ON "modules" USING btree ("name");--> statement-breakpoint
CREATE INDEX "reservations_key" ON "reservations" USING btree ("payer","key","token");