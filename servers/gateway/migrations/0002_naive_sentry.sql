CREATE TABLE "x402_offers" (
	"id" text PRIMARY KEY NOT NULL,
	"digest" text NOT NULL,
	"cap" numeric(39,0) NOT NULL,
	"fee" numeric(39,0) NOT NULL,
	"amounts" text NOT NULL,
	"pay_to" text NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "x402_payments" (
	"id" text PRIMARY KEY NOT NULL,
	"offer_id" text NOT NULL,
	"state" text NOT NULL,
	"caller" text NOT NULL,
	"digest" text NOT NULL,
	"payer" text NOT NULL,
	"asset" text NOT NULL,
	"pay_to" text NOT NULL,
	"value" numeric(39,0) NOT NULL,
	"cap" numeric(39,0) NOT NULL,
	"fee" numeric(39,0) NOT NULL,
	"transfer" text NOT NULL,
	"from_block" integer NOT NULL,
	"transaction" text,
	"key_id" text,
	"change" numeric(39,0),
	"change_transfer" text,
	"change_from_block" integer,
	"change_transaction" text,
	"taken_at" bigint NOT NULL,
	"closed_at" bigint,
	CONSTRAINT "x402_payments_offer_id_unique" UNIQUE("offer_id")
);
--> statement-breakpoint
ALTER TABLE "x402_payments" ADD CONSTRAINT "x402_payments_key_id_api_keys_id_fk" FOREIGN KEY ("key_id") REFERENCES "public"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "x402_offers_expires" ON "x402_offers" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "x402_payments_open" ON "x402_payments" USING btree ("state","taken_at") WHERE state in ('taken', 'settled', 'returning');--> statement-breakpoint
CREATE INDEX "x402_payments_digest" ON "x402_payments" USING btree ("digest");