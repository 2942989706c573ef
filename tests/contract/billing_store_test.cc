// What every store of billing does, one call after another. billing_races_test.cc has what happens at once,
// billing_ledger_test.cc what PostgreSQL itself refuses.
#include "tests/contract/billing_store_harness.h"

namespace allod::billing::billing_store_test {
namespace {

using namespace std::chrono_literals;

using Factory = std::unique_ptr<StoreHarness> (*)();

class BillingStore : public testing::TestWithParam<std::pair<const char*, Factory>> {
 protected:
  BillingStore() : harness_(GetParam().second()), store_(harness_->store()) {}

  BillingAccount Kenya() { return store_.GetBillingAccount(Tenant("ke")).value(); }

  const std::unique_ptr<StoreHarness> harness_;
  Store& store_;
};

INSTANTIATE_TEST_SUITE_P(, BillingStore,
                         testing::Values(std::pair<const char*, Factory>{"Fake",
                                                                         [] -> std::unique_ptr<StoreHarness> {
                                                                           return std::make_unique<FakeHarness>();
                                                                         }},
                                         std::pair<const char*, Factory>{"Postgres",
                                                                         [] -> std::unique_ptr<StoreHarness> {
                                                                           return std::make_unique<PgHarness>();
                                                                         }}),
                         [](const auto& chosen) { return chosen.param.first; });

TEST_P(BillingStore, KeepsPriceBooksForEver) {
  PriceBook book = ContractPriceBook();
  EXPECT_EQ(store_.GetPriceBook(book.id).error().code, Code::kNotFound);
  const PriceBook made = store_.CreatePriceBook(book, kNow).value();
  EXPECT_EQ(made.create_time, kNow);
  EXPECT_TRUE(SameContent(store_.CreatePriceBook(book, kNow + 1h).value(), made));
  EXPECT_EQ(store_.GetPriceBook(book.id)->create_time, kNow);
  book.prices[0].prompt = Pico(kPrompt + 1);
  EXPECT_EQ(store_.CreatePriceBook(book, kNow).error().reason, "ALREADY_EXISTS");
  book = ContractPriceBook();
  book.prices.push_back({"TZS", "", Pico(1), Pico(1)});
  EXPECT_EQ(store_.CreatePriceBook(book, kNow).error().code, Code::kAlreadyExists);
  book = ContractPriceBook();
  book.listing = "listings/other";
  EXPECT_EQ(store_.CreatePriceBook(book, kNow).error().code, Code::kAlreadyExists);
  EXPECT_TRUE(SameContent(store_.GetPriceBook(book.id).value(), ContractPriceBook()));
}

TEST_P(BillingStore, OpensAnAccountAndChangesItsLimit) {
  EXPECT_EQ(store_.GetBillingAccount(Tenant("ke")).error().code, Code::kNotFound);
  EXPECT_EQ(store_.SetBillingAccount(Account("ke", 100), kNow)->credit_limit, Pico(100));
  EXPECT_EQ(store_.SetBillingAccount(Account("ke", 100), kNow)->credit_limit, Pico(100));
  EXPECT_EQ(store_.SetBillingAccount(Account("ke", 50), kNow)->credit_limit, Pico(50));
  EXPECT_EQ(Kenya().credit_limit, Pico(50));
  EXPECT_EQ(Kenya().tenant_name, "tenants/ke");
  EXPECT_EQ(Kenya().posted, Amount());
  SetAccountCommand shillings = Account("ke", 100);
  shillings.currency_code = "TZS";
  EXPECT_EQ(store_.SetBillingAccount(shillings, kNow).error().reason, "CURRENCY_IMMUTABLE");
}

TEST_P(BillingStore, CarriesOutARequestIdOnce) {
  SetAccountCommand raise = Account("ke", 100);
  raise.request = MakeRequestId(Uuid::V7().ToString(), "SetBillingAccount", "100").value();
  ASSERT_TRUE(store_.SetBillingAccount(raise, kNow));
  ASSERT_TRUE(store_.SetBillingAccount(Account("ke", 50), kNow));
  EXPECT_EQ(store_.SetBillingAccount(raise, kNow)->credit_limit, Pico(50)) << "a late repetition must change nothing";
  SetAccountCommand other = Account("ke", 70);
  other.request = MakeRequestId(raise.request.id.ToString(), "SetBillingAccount", "70").value();
  EXPECT_EQ(store_.SetBillingAccount(other, kNow).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(Kenya().credit_limit, Pico(50));
}

TEST_P(BillingStore, HoldsAndThenPostsWhatWasUsed) {
  OpenKenya(store_, 2);
  const ReserveCommand request = Request("ke");
  const Reservation reservation = store_.Reserve(request, kNow).value();
  EXPECT_EQ(reservation.hold, Pico(kHold));
  EXPECT_EQ(Kenya().held, Pico(kHold));
  EXPECT_EQ(Kenya().posted, Amount());
  const UsageRecord record = store_.Settle(Settlement(request, 4, 9), kNow + 2s).value();
  EXPECT_EQ(record.cost, Pico(4 * kPrompt + 9 * kCompletion));
  EXPECT_EQ(record.instance, request.instance);
  EXPECT_EQ(record.api_key, request.api_key);
  EXPECT_EQ(record.admit_time, kNow);
  EXPECT_EQ(record.settle_time, kNow + 2s);
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(Kenya().posted, record.cost);
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record.cost);
}

TEST_P(BillingStore, PinsThePriceOfTheVariantElseThatForAll) {
  OpenKenya(store_, 10);
  const auto hold = [&](const std::string& variant, const Uuid& book) -> std::string {
    ReserveCommand request = Request("ke");
    request.variant = "models/m/versions/v/variants/" + variant;
    request.price_book = book;
    const auto reservation = store_.Reserve(request, kNow);
    return reservation ? reservation->hold.ToPicoString() : reservation.error().reason;
  };
  EXPECT_EQ(hold("q4_k_m", kBook), std::to_string(kHold));
  EXPECT_EQ(hold("q8_0", kBook), std::to_string(10 * 5 + 100 * 11));
  EXPECT_EQ(hold("q4_k_m", Uuid::FromName("priceBooks/none")), "PRICE_NOT_FOUND");
  const Uuid abroad = Uuid::FromName("priceBooks/abroad");
  ASSERT_TRUE(store_.CreatePriceBook({.id = abroad,
                                      .listing = "listings/x",
                                      .prices = {{"KES", "q8_0", Pico(1), Pico(1)}, {"TZS", "", Pico(1), Pico(1)}}},
                                     kNow));
  EXPECT_EQ(hold("q8_0", abroad), "110");
  EXPECT_EQ(hold("q4_k_m", abroad), "PRICE_NOT_FOUND") << "its only price for all is in another currency";
}

TEST_P(BillingStore, RefusesWhatTheCreditDoesNotCover) {
  ASSERT_TRUE(store_.CreatePriceBook(ContractPriceBook(), kNow));
  EXPECT_EQ(store_.Reserve(Request("ke"), kNow).error().reason, "NO_BILLING_ACCOUNT");
  ASSERT_TRUE(store_.SetBillingAccount(Account("ke", 2 * kHold - 1), kNow));
  ASSERT_TRUE(store_.Reserve(Request("ke"), kNow));
  EXPECT_EQ(store_.Reserve(Request("ke"), kNow).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(Kenya().held, Pico(kHold)) << "a refusal leaves nothing behind";
  ASSERT_TRUE(store_.SetBillingAccount(Account("ke", 2 * kHold), kNow));
  EXPECT_TRUE(store_.Reserve(Request("ke"), kNow));
}

TEST_P(BillingStore, AnswersRepetitionsAsTheFirstTime) {
  OpenKenya(store_, 1);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  EXPECT_EQ(store_.Reserve(request, kNow + 24h * 365)->hold, Pico(kHold));
  const UsageRecord record = store_.Settle(Settlement(request, 1, 2), kNow + 1s).value();
  const UsageRecord again = store_.Settle(Settlement(request, 1, 2), kNow + 24h * 365).value();
  EXPECT_EQ(again.settle_time, record.settle_time);
  EXPECT_EQ(again.cost, record.cost);
  EXPECT_EQ(store_.Reserve(request, kNow)->hold, Pico(kHold)) << "also when it was settled already";
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kNow, {})->transfer_count, 2);
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record.cost);
}

TEST_P(BillingStore, RefusesAnIdThatComesWithAnotherPayload) {
  OpenKenya(store_, 5);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ReserveCommand other = request;
  other.completion_tokens_max = 99;
  EXPECT_EQ(store_.Reserve(other, kNow).error().reason, "REQUEST_ID_REUSED");
  const UsageRecord record = store_.Settle(Settlement(request, 1, 2), kNow).value();
  EXPECT_EQ(store_.Settle(Settlement(request, 1, 3), kNow).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(store_.Settle(Settlement(request, 1, 2, Outcome::kFault), kNow).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record.cost);
}

TEST_P(BillingStore, RefusesToSettleWhatWasNeverReserved) {
  OpenKenya(store_, 1);
  EXPECT_EQ(store_.Settle(Settlement(Request("ke"), 1, 1), kNow).error().reason, "RESERVATION_NOT_FOUND");
}

TEST_P(BillingStore, RecordsMoreThanWasHeldAndBillsNoMore) {
  OpenKenya(store_, 2);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  const auto record = store_.Settle(Settlement(request, 12, 350), kNow);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->cost, Pico(kHold));
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(Kenya().posted, Pico(kHold));
  const auto listed = store_.ListUsageRecords({.tenant = Tenant("ke")}).value();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].prompt_tokens, 12);
  EXPECT_EQ(listed[0].completion_tokens, 350);
  EXPECT_EQ(listed[0].excess_prompt_tokens, 2);
  EXPECT_EQ(listed[0].excess_completion_tokens, 250);
  const auto lines = store_.SumMonth({Tenant("ke"), kMonth, 10}).value();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].prompt_tokens, 10) << "an invoice shows what is billed";
  EXPECT_EQ(lines[0].completion_tokens, 100);
  EXPECT_EQ(lines[0].amount, Pico(kHold));
  EXPECT_TRUE(store_.Settle(Settlement(request, 12, 350), kNow + 1h)) << "a repetition is the same settlement";
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kNow, {})->excess_record_count, 1);
  ExpectSoundBooks(store_, "ke");
}

TEST_P(BillingStore, ReplacesAHoldAndSettlesOnTheNewTerms) {
  OpenKenya(store_, 4);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ReserveCommand dearer = Revised(request, 1, 200);
  dearer.variant = "models/m/versions/v/variants/q8_0";
  const auto replaced = store_.Reserve(dearer, kNow + 1s);
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_EQ(replaced->hold, Pico(10 * 5 + 200 * 11));
  EXPECT_EQ(Kenya().held, replaced->hold) << "the old hold is released, never are both open";
  EXPECT_EQ(store_.Reserve(dearer, kNow + 2s)->hold, replaced->hold) << "a repetition changes nothing";
  EXPECT_EQ(store_.Reserve(request, kNow + 2s).error().reason, "REQUEST_ID_REUSED") << "the terms of before are over";
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kNow, {})->open_hold_count, 1);
  ExpectSoundBooks(store_, "ke");
  const auto again = store_.Reserve(Revised(dearer, 2, 50), kNow + 3s);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(Kenya().held, Pico(10 * 5 + 50 * 11));
  const auto record = store_.Settle(Settlement(request, 4, 50), kNow + 4s);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->variant, dearer.variant);
  EXPECT_EQ(record->cost, Pico(4 * 5 + 50 * 11));
  EXPECT_EQ(record->excess_completion_tokens, 0);
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(store_.Reserve(Revised(dearer, 3, 60), kNow + 5s).error().reason, "HOLD_ENDED")
      << "a late replacement must not open a hold that nobody settles";
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record->cost);
}

TEST_P(BillingStore, KeepsTheHoldWhenAReplacementIsRefused) {
  OpenKenya(store_, 1);
  const ReserveCommand request = Request("ke");
  EXPECT_EQ(store_.Reserve(Revised(request, 1, 100), kNow).error().reason, "RESERVATION_NOT_FOUND");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  EXPECT_EQ(store_.Reserve(Revised(request, 1, 101), kNow).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(store_.Reserve(Revised(request, 2, 100), kNow).error().reason, "REVISION_OUT_OF_ORDER");
  EXPECT_EQ(Kenya().held, Pico(kHold));
  EXPECT_EQ(store_.Settle(Settlement(request, 0, 0), kNow)->cost, Amount());
  EXPECT_EQ(Kenya().held, Amount());
  ExpectSoundBooks(store_, "ke");
}

TEST_P(BillingStore, ReleasesAReplacedHoldInTimeAndBillsItsRequestLate) {
  OpenKenya(store_, 5);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ASSERT_TRUE(store_.Reserve(Revised(request, 1, 300), kNow));
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 1);
  EXPECT_EQ(Kenya().held, Amount());
  EXPECT_EQ(store_.Reserve(Revised(request, 2, 400), kNow + 1min).error().reason, "HOLD_ENDED");
  const auto record = store_.Settle(Settlement(request, 10, 300), kNow + 2h);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->cost, Pico(10 * kPrompt + 300 * kCompletion));
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record->cost);
}

TEST_P(BillingStore, FindsTheTenantsWhoseHoldsAreDueAndNoOthers) {
  OpenKenya(store_, 5);
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  ASSERT_TRUE(store_.SetBillingAccount(Account("ug", 10 * kHold), kNow));
  const auto due = [&](Time now, std::optional<TenantId> after = {}, int limit = 10) {
    return store_.TenantsWithDueHolds(now, after, limit).value();
  };
  const ReserveCommand kenyas = Request("ke");
  ASSERT_TRUE(store_.Reserve(kenyas, kNow));
  ASSERT_TRUE(store_.Reserve(Request("ke"), kNow));
  ASSERT_TRUE(store_.Reserve(Request("tz"), kNow));
  EXPECT_TRUE(due(kenyas.expire_time - 1us).empty());
  const auto both = due(kenyas.expire_time);
  ASSERT_EQ(both.size(), 2U) << "each once, and not the one without holds";
  EXPECT_LT(both[0], both[1]);
  EXPECT_EQ(due(kenyas.expire_time, {}, 1), std::vector<TenantId>{both[0]});
  EXPECT_EQ(due(kenyas.expire_time, both[0]), std::vector<TenantId>{both[1]});
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kenyas.expire_time, {})->overdue_hold_count, 0) << "a moment is allowed";
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kenyas.expire_time + 2min, {})->overdue_hold_count, 2);
  ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), kenyas.expire_time, 10).value(), 2);
  EXPECT_EQ(due(kenyas.expire_time), std::vector<TenantId>{Tenant("tz")});
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kenyas.expire_time + 2min, {})->overdue_hold_count, 0);
}

TEST_P(BillingStore, RecordsFaultsAndEarlyCancelsWithoutBillingThem) {
  OpenKenya(store_, 2);
  const ReserveCommand fault = Request("ke");
  const ReserveCommand cancelled = Request("ke");
  ASSERT_TRUE(store_.Reserve(fault, kNow));
  ASSERT_TRUE(store_.Reserve(cancelled, kNow));
  EXPECT_EQ(store_.Settle(Settlement(fault, 5, 50, Outcome::kFault), kNow)->cost, Amount());
  EXPECT_EQ(store_.Settle(Settlement(cancelled, 5, 0, Outcome::kClientCancelled), kNow)->cost, Amount());
  EXPECT_EQ(Kenya().held, Amount());
  const auto records = store_.ListUsageRecords({.tenant = Tenant("ke")}).value();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].prompt_tokens, 5);
  EXPECT_TRUE(store_.SumMonth({Tenant("ke"), kMonth, 10})->empty());
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), Amount());
}

TEST_P(BillingStore, ReleasesHoldsWhoseTimeIsOver) {
  OpenKenya(store_, 3);
  ReserveCommand soon = Request("ke");
  soon.expire_time = kNow + 1s;
  ASSERT_TRUE(store_.Reserve(soon, kNow));
  ASSERT_TRUE(store_.Reserve(Request("ke"), kNow));
  ReserveCommand settled = Request("ke");
  settled.expire_time = kNow + 1s;
  ASSERT_TRUE(store_.Reserve(settled, kNow));
  ASSERT_TRUE(store_.Settle(Settlement(settled, 1, 1), kNow));
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1s - 1us, 10).value(), 0);
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1s, 10).value(), 1);
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1s, 10).value(), 0);
  EXPECT_EQ(Kenya().held, Pico(kHold));
  EXPECT_EQ(store_.ListUsageRecords({.tenant = Tenant("ke")})->size(), 1U) << "an expired hold leaves no usage record";
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kNow, {})->open_hold_count, 1);
  ExpectSoundBooks(store_, "ke");
}

TEST_P(BillingStore, ReleasesAtMostABatchOldestFirst) {
  OpenKenya(store_, 5);
  for (int i = 0; i < 5; ++i) {
    ReserveCommand request = Request("ke");
    request.expire_time = kNow + std::chrono::seconds(i + 1);
    ASSERT_TRUE(store_.Reserve(request, kNow));
  }
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 2).value(), 2);
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 3s, 10).value(), 1);
  EXPECT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 2);
}

TEST_P(BillingStore, CountsALateSettlementOnceAndForItsWholeCost) {
  OpenKenya(store_, 1);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 1);
  ASSERT_TRUE(store_.Reserve(Request("ke"), kNow)) << "the released money may be used meanwhile";
  const UsageRecord record = store_.Settle(Settlement(request, 10, 100), kNow + 24h * 40).value();
  EXPECT_EQ(record.cost, Pico(kHold));
  EXPECT_EQ(record.admit_time, kNow);
  EXPECT_EQ(store_.Settle(Settlement(request, 10, 100), kNow + 24h * 80)->settle_time, record.settle_time);
  EXPECT_EQ(Kenya().posted, Pico(kHold));
  EXPECT_EQ(Kenya().held, Pico(kHold));
  EXPECT_EQ(store_.Reserve(request, kNow)->hold, Pico(kHold)) << "a repetition does not hold again";
  EXPECT_EQ(Kenya().held, Pico(kHold));
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), record.cost);
}

TEST_P(BillingStore, RecordsALateSettlementThatCostsNothing) {
  OpenKenya(store_, 1);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 1);
  EXPECT_EQ(store_.Settle(Settlement(request, 3, 3, Outcome::kFault), kNow + 2h)->cost, Amount());
  EXPECT_EQ(store_.ListUsageRecords({.tenant = Tenant("ke")})->size(), 1U);
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), Amount());
}

TEST_P(BillingStore, ListsUsageNewestFirstPageByPageWithFilters) {
  OpenKenya(store_, 100);
  for (int i = 0; i < 9; ++i) {
    const ReserveCommand request = Request("ke", kNow + std::chrono::seconds(i), i % 3 == 0 ? "three" : "other");
    ASSERT_TRUE(store_.Reserve(request, kNow));
    ASSERT_TRUE(store_.Settle(Settlement(request, 1, i), kNow));
  }
  UsageQuery query{.tenant = Tenant("ke"), .limit = 4};
  std::vector<std::int64_t> seen;
  while (true) {
    const auto page = store_.ListUsageRecords(query).value();
    for (const UsageRecord& record : page) seen.push_back(record.completion_tokens);
    if (page.size() < 4) break;
    query.before = page.back().request_id;
  }
  EXPECT_EQ(seen, (std::vector<std::int64_t>{8, 7, 6, 5, 4, 3, 2, 1, 0}));
  const auto tokens = [&](UsageQuery filtered) {
    std::vector<std::int64_t> out;
    const auto records = store_.ListUsageRecords(filtered).value();
    for (const UsageRecord& record : records) out.push_back(record.completion_tokens);
    return out;
  };
  const std::string three = "tenants/ke/projects/p/instances/three";
  using List = std::vector<std::int64_t>;
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .start = kNow + 2s, .end = kNow + 5s}), (List{4, 3, 2}));
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .start = kNow + 2s + 1us, .end = kNow + 5s + 1us}), (List{5, 4, 3}));
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .instance = three}), (List{6, 3, 0}));
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .limit = 1, .end = kNow + 6s, .instance = three}), (List{3}));
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .instance = "tenants/ke/projects/p/instances/none"}), (List{}));
  EXPECT_EQ(tokens({.tenant = Tenant("ke"), .limit = 2, .end = kNow + 6s, .project = "p"}), (List{5, 4}));
  for (const char* project : {"", "projects", "pp", "%"}) {
    const std::string other = project;
    EXPECT_EQ(tokens({.tenant = Tenant("ke"), .project = other}).size(), other.empty() ? 9U : 0U) << other;
  }
}

TEST_P(BillingStore, SumsUsageByInstanceAndPriceForAMonth) {
  OpenKenya(store_, 100);
  const auto use = [&](Time admitted, const char* instance, const char* variant, std::int64_t tokens) {
    ReserveCommand request = Request("ke", admitted, instance);
    request.variant = std::string("models/m/versions/v/variants/") + variant;
    ASSERT_TRUE(store_.Reserve(request, admitted));
    ASSERT_TRUE(store_.Settle(Settlement(request, 1, tokens), admitted + 1s));
  };
  const InvoicePeriod november = ParsePeriod("2025-11", kNow).value();
  use(november.start - 1ms, "a", "q4_k_m", 50);
  use(november.start, "a", "q4_k_m", 10);
  use(november.end - 1ms, "a", "q4_k_m", 20);
  use(november.end, "a", "q4_k_m", 50);
  use(kNow, "a", "q8_0", 5);
  use(kNow, "b", "q4_k_m", 7);
  const auto lines = store_.SumMonth({Tenant("ke"), november.start, 10}).value();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].instance, "tenants/ke/projects/p/instances/a");
  EXPECT_EQ(lines[0].variant, "models/m/versions/v/variants/q4_k_m");
  EXPECT_EQ(lines[0].price_book, kBook);
  EXPECT_EQ(lines[0].request_count, 2);
  EXPECT_EQ(lines[0].prompt_tokens, 2);
  EXPECT_EQ(lines[0].completion_tokens, 30);
  EXPECT_EQ(lines[0].amount, Pico(2 * kPrompt + 30 * kCompletion));
  EXPECT_EQ(lines[1].amount, Pico(5 + 5 * 11));
  EXPECT_EQ(lines[2].amount, Pico(kPrompt + 7 * kCompletion));
  EXPECT_EQ(store_.SumMonth({Tenant("ke"), november.start, 2})->size(), 2U);
  EXPECT_EQ(store_.SumMonth({Tenant("ke"), november.start, 10, "p"})->size(), 3U);
  EXPECT_TRUE(store_.SumMonth({Tenant("ke"), november.start, 10, "other"})->empty());
}

TEST_P(BillingStore, ListsLedgerAccountsAndTenantsPageByPage) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("ke", 1), kNow));
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 1), kNow));
  const auto codes = [&](const std::string& after, int limit) {
    std::vector<std::string> out;
    const auto accounts = store_.ListLedgerAccounts(Tenant("ke"), after, limit).value();
    for (const auto& account : accounts) out.push_back(account.code);
    return out;
  };
  EXPECT_EQ(codes("", 10), (std::vector<std::string>{"payments", "receivable", "rounding", "tax-payable",
                                                     "usage-revenue", "vouchers", "wallet"}));
  EXPECT_EQ(codes("receivable", 1), (std::vector<std::string>{"rounding"}));
  const auto first = store_.ListKnownTenants(std::nullopt, 1).value();
  ASSERT_EQ(first.size(), 1U);
  const auto second = store_.ListKnownTenants(first[0].id, 10).value();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_LT(first[0].id, second[0].id);
  EXPECT_TRUE(store_.ListKnownTenants(second[0].id, 10)->empty());
}

TEST_P(BillingStore, LetsTenantBNeitherSeeNorChangeNorReferToTenantA) {
  OpenKenya(store_, 2);
  const ReserveCommand open = Request("ke");
  const ReserveCommand settled = Request("ke");
  ASSERT_TRUE(store_.Reserve(open, kNow));
  ASSERT_TRUE(store_.Reserve(settled, kNow));
  ASSERT_TRUE(store_.Settle(Settlement(settled, 1, 1), kNow));
  const BillingAccount before = Kenya();
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));

  SettleCommand theirs = Settlement(open, 1, 1);
  theirs.tenant = Tenant("tz");
  EXPECT_EQ(store_.Settle(theirs, kNow).error().reason, "RESERVATION_NOT_FOUND");
  EXPECT_TRUE(store_.ListUsageRecords({.tenant = Tenant("tz")})->empty());
  EXPECT_TRUE(store_.SumMonth({Tenant("tz"), kMonth, 10})->empty());
  EXPECT_EQ(store_.ExpireReservations(Tenant("tz"), kNow + 1h, 10).value(), 0);
  EXPECT_EQ(store_.AuditTenant(Tenant("tz"), kNow, {})->transfer_count, 0);

  ReserveCommand same_id = Request("tz");
  same_id.request_id = open.request_id;
  EXPECT_TRUE(store_.Reserve(same_id, kNow)) << "an id of another tenant is nobody's business";
  EXPECT_TRUE(store_.Settle(Settlement(same_id, 2, 2), kNow));
  EXPECT_EQ(Kenya().posted, before.posted);
  EXPECT_EQ(Kenya().held, before.held);
  EXPECT_TRUE(store_.Settle(Settlement(open, 1, 1), kNow));
  ExpectSoundBooks(store_, "ke");
  ExpectSoundBooks(store_, "tz");
}

}  // namespace
}  // namespace allod::billing::billing_store_test
