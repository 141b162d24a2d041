CREATE TABLE "accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"balance" numeric(39,0) NOT NULL,
	"reserved" numeric(39,0) NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "accounts_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"hint" text NOT NULL,
	"budget" numeric(39,0),
	"spent" numeric(39,0) NOT NULL,
	"reserved" numeric(39,0) NOT NULL,
	"requests_per_minute" integer,
	"revoked_at" bigint,
	"created_at" bigint NOT NULL,
	CONSTRAINT "api_keys_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "audit_log" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"details" text NOT NULL,
	"created_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ledger_entries" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"amount" numeric(39,0) NOT NULL,
	"request_id" text,
	"reference" text,
	"created_at" bigint NOT NULL,
	CONSTRAINT "ledger_entries_request_id_unique" UNIQUE("request_id"),
	CONSTRAINT "ledger_entries_reference_unique" UNIQUE("reference")
);
--> statement-breakpoint
CREATE TABLE "requests" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"replica" text NOT NULL,
	"state" text NOT NULL,
	"kind" text NOT NULL,
	"model" text NOT NULL,
	"held" numeric(39,0) NOT NULL,
	"price" numeric(39,0),
	"quote_id" text,
	"order_hash" text,
	"receipt" text,
	"input_units" bigint,
	"output_units" bigint,
	"idempotency_key" text,
	"request_digest" text NOT NULL,
	"answer" text,
	"error_code" text,
	"created_at" bigint NOT NULL,
	"settled_at" bigint
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_entries" ADD CONSTRAINT "ledger_entries_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "requests" ADD CONSTRAINT "requests_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "requests" ADD CONSTRAINT "requests_key_id_api_keys_id_fk" FOREIGN KEY ("key_id") REFERENCES "public"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_account" ON "api_keys" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "ledger_entries_account" ON "ledger_entries" USING btree ("account_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "requests_idempotency" ON "requests" USING btree ("key_id","idempotency_key");--> statement-breakpoint
CREATE UNIQUE INDEX "requests_order" ON "requests" USING btree ("order_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "requests_quote" ON "requests" USING btree ("quote_id");--> statement-breakpoint
CREATE INDEX "requests_account" ON "requests" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "requests_unsettled" ON "requests" USING btree ("replica") WHERE state in ('open', 'reserved');--> statement-breakpoint
CREATE INDEX "requests_answers" ON "requests" USING btree ("settled_at") WHERE answer is not null;