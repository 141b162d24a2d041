CREATE TABLE "card_events" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"received_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "card_reversals" (
	"id" text PRIMARY KEY NOT NULL,
	"payment_id" text NOT NULL,
	"kind" text NOT NULL,
	"usd_cents" integer NOT NULL,
	"is_standing" boolean NOT NULL,
	"is_final" boolean NOT NULL,
	"told_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chain_cursors" (
	"name" text PRIMARY KEY NOT NULL,
	"start_block" bigint NOT NULL,
	"block_number" bigint NOT NULL,
	"block_hash" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"name" text PRIMARY KEY NOT NULL,
	"holder" text NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "quote_owners" (
	"quote_id" text PRIMARY KEY NOT NULL,
	"replica" text NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "replicas" (
	"id" text PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"seen_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "top_ups" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"state" text NOT NULL,
	"usd_cents" integer NOT NULL,
	"credit" numeric(39,0) NOT NULL,
	"usd_per_lily_wad" numeric(39,0) NOT NULL,
	"credited" numeric(39,0) NOT NULL,
	"session_id" text,
	"url" text,
	"payment_id" text,
	"idempotency_key" text,
	"created_at" bigint NOT NULL,
	"paid_at" bigint,
	CONSTRAINT "top_ups_session_id_unique" UNIQUE("session_id"),
	CONSTRAINT "top_ups_payment_id_unique" UNIQUE("payment_id")
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "deposit_address" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "day_budget" numeric(39,0);--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "month_budget" numeric(39,0);--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "spent_on_day" numeric(39,0) DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "spent_in_month" numeric(39,0) DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "last_day" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "last_month" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "models" text[];--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "expires_at" bigint;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "disabled_at" bigint;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "previous_hash" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "previous_until" bigint;--> statement-breakpoint
ALTER TABLE "ledger_entries" ADD COLUMN "source" text DEFAULT 'operator' NOT NULL;--> statement-breakpoint
ALTER TABLE "top_ups" ADD CONSTRAINT "top_ups_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "card_reversals_payment" ON "card_reversals" USING btree ("payment_id");--> statement-breakpoint
CREATE INDEX "quote_owners_expiry" ON "quote_owners" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "top_ups_idempotency" ON "top_ups" USING btree ("account_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "top_ups_account" ON "top_ups" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "ledger_entries_source" ON "ledger_entries" USING btree ("source");--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_deposit_address_unique" UNIQUE("deposit_address");--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_previous_hash_unique" UNIQUE("previous_hash");