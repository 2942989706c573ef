// What every store does with prices by class and with computed usage.
#include "tests/contract/billing_store_harness.h"

namespace allod::billing::billing_computed_test {
namespace {

using namespace std::chrono_literals;

template <typename Harness>
std::unique_ptr<StoreHarness> Make() {
  return std::make_unique<Harness>();
}

class ComputedUsageStore : public testing::TestWithParam<std::unique_ptr<StoreHarness> (*)()> {
 protected:
  void SetUp() override { OpenKenya(store_, 10); }

  ComputedUsage Event(const ReserveCommand& request, std::int64_t sampled, const std::string& id) const {
    return {.tenant = request.tenant,
            .event_id = id,
            .request_id = request.request_id,
            .instance = request.instance,
            .node = "nodes/n",
            .replica = Uuid::FromName("replica"),
            .prompt_tokens_computed = 4,
            .prompt_tokens_cached = 6,
            .sampled_tokens = sampled,
            .outcome = ComputedOutcome::kCompleted,
            .start_time = kNow,
            .end_time = kNow + 2s};
  }
  RecordedEvents Record(const std::vector<ComputedUsage>& events, const std::string& tenant = "ke") {
    const auto done = store_.RecordComputedUsage(Tenant(tenant), events);
    EXPECT_TRUE(done) << done.error().message;
    return done.value_or(RecordedEvents{});
  }
  ReserveCommand Reserved(const std::string& tenant = "ke") {
    const ReserveCommand request = Request(tenant);
    EXPECT_TRUE(store_.Reserve(request, kNow));
    return request;
  }
  UsageCheck Check(const std::string& tenant = "ke", std::size_t findings = 100) {
    return store_.CheckUsage(Tenant(tenant), {kNow - 1h, kNow + 1h, findings}, kNow + 2min).value();
  }
  std::vector<ComputedUsage> List(ComputedQuery query = {}) {
    query.tenant = query.tenant == TenantId{} ? Tenant("ke") : query.tenant;
    return store_.ListComputedUsage(query).value();
  }

  const std::unique_ptr<StoreHarness> harness_ = GetParam()();
  Store& store_ = harness_->store();
};

INSTANTIATE_TEST_SUITE_P(, ComputedUsageStore, testing::Values(&Make<FakeHarness>, &Make<PgHarness>),
                         [](const auto& chosen) { return chosen.index == 0 ? "Fake" : "Postgres"; });

TEST_P(ComputedUsageStore, PricesByVariantAndClassMostSpecificFirst) {
  PriceBook book = ContractPriceBook();
  book.id = Uuid::FromName("priceBooks/classes");
  book.prices = {{"KES", "", Pico(10), Pico(10)},
                 {"KES", "", Pico(2), Pico(2), "pooled", Pico(1'000'000)},
                 {"KES", "q8_0", Pico(30), Pico(30)},
                 {"KES", "q8_0", Pico(50), Pico(50), "dedicated"}};
  book = CheckPriceBook(book).value();
  ASSERT_TRUE(store_.CreatePriceBook(book, kNow));
  EXPECT_TRUE(SameContent(store_.GetPriceBook(book.id).value(), book));
  struct Case {
    const char* level;
    const char* isolation;
    std::int64_t pico;
  };
  for (const Case& c : {Case{"q4_k_m", "isolated", 10}, Case{"q4_k_m", "pooled", 2}, Case{"q8_0", "pooled", 30},
                        Case{"q8_0", "dedicated", 50}, Case{"q4_k_m", "dedicated", 10}}) {
    ReserveCommand request = Request("ke");
    request.price_book = book.id;
    request.variant = std::string("models/m/versions/v/variants/") + c.level;
    request.isolation_class = c.isolation;
    const auto reservation = store_.Reserve(request, kNow);
    ASSERT_TRUE(reservation) << reservation.error().message;
    EXPECT_EQ(reservation->prompt_price, Pico(c.pico)) << c.level << " " << c.isolation;
    const auto record = store_.Settle(Settlement(request, 1, 1), kNow);
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(record->isolation_class, c.isolation);
    EXPECT_EQ(record->cost, Pico(2 * c.pico));
    request.isolation_class = c.isolation == std::string("pooled") ? "isolated" : "pooled";
    EXPECT_EQ(store_.Reserve(request, kNow).error().reason, "REQUEST_ID_REUSED")
        << "the class is part of what was asked";
  }
  const auto lines = store_.SumMonth({Tenant("ke"), kMonth, 100}).value();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].isolation_class, "dedicated");
  EXPECT_EQ(lines[1].isolation_class, "isolated");
  EXPECT_EQ(lines[2].isolation_class, "pooled");
}

TEST_P(ComputedUsageStore, RecordsAnEventOnce) {
  const ReserveCommand request = Reserved();
  const ComputedUsage event = Event(request, 9, "ring/1");
  EXPECT_EQ(Record({event}).recorded, 1);
  const RecordedEvents again = Record({event, event});
  EXPECT_EQ(again.recorded, 0);
  EXPECT_TRUE(again.reused.empty());
  ASSERT_EQ(List().size(), 1u);
  EXPECT_EQ(List()[0], event);
}

TEST_P(ComputedUsageStore, KeepsTheFirstContentOfAnEventAndTheRestOfItsBatch) {
  const ReserveCommand request = Reserved();
  ASSERT_EQ(Record({Event(request, 9, "ring/1")}).recorded, 1);
  const RecordedEvents mixed =
      Record({Event(request, 10, "ring/1"), Event(request, 3, "ring/2"), Event(request, 9, "ring/1")});
  EXPECT_EQ(mixed.recorded, 1);
  EXPECT_EQ(mixed.reused, std::vector<std::string>{"ring/1"});
  std::int64_t sampled = 0;
  for (const auto& event : List()) sampled += event.sampled_tokens;
  EXPECT_EQ(sampled, 12);
}

TEST_P(ComputedUsageStore, SaysThatATenantIsNotKnown) {
  const RecordedEvents done = Record({Event(Request("tz"), 1, "ring/1")}, "tz");
  EXPECT_FALSE(done.known_tenant);
  EXPECT_EQ(done.recorded, 0);
}

TEST_P(ComputedUsageStore, ListsNewestFirstPageByPageWithFilters) {
  const ReserveCommand one = Reserved();
  ReserveCommand two = Request("ke", kNow, "other");
  std::vector<ComputedUsage> events;
  for (int i = 0; i < 5; ++i) {
    events.push_back(Event(i % 2 == 0 ? one : two, i, "ring/" + std::to_string(i)));
    events.back().start_time = kNow + std::chrono::seconds(i / 2);
    events.back().end_time = events.back().start_time;
  }
  ASSERT_EQ(Record(events).recorded, 5);
  std::vector<std::int64_t> seen;
  ComputedQuery query{.limit = 2};
  for (auto page = List(query); !page.empty(); page = List(query)) {
    for (const auto& event : page) seen.push_back(event.sampled_tokens);
    query.before = ComputedQuery::Key{page.back().start_time, page.back().event_id};
  }
  EXPECT_EQ(seen, (std::vector<std::int64_t>{4, 3, 2, 1, 0}));
  EXPECT_EQ(List({.instance = two.instance}).size(), 2u);
  EXPECT_EQ(List({.request_id = one.request_id}).size(), 3u);
  EXPECT_EQ(List({.start = kNow + 1s}).size(), 3u);
  EXPECT_EQ(List({.end = kNow + 1s}).size(), 2u);
}

TEST_P(ComputedUsageStore, FindsNothingWrongWithWhatIsRight) {
  const ReserveCommand whole = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(whole, 10, 9), kNow));
  const ReserveCommand retried = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(retried, 10, 5), kNow));
  const ReserveCommand running = Reserved();
  const ReserveCommand refused = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(refused, 10, 0, Outcome::kFault), kNow));
  Record({Event(whole, 9, "ring/1"), Event(retried, 2, "ring/2"), Event(retried, 4, "ring/3"),
          Event(running, 3, "ring/4")});
  const UsageCheck check = Check();
  EXPECT_EQ(check.usage_record_count, 3);
  EXPECT_EQ(check.computed_event_count, 4);
  EXPECT_EQ(check.computed_request_count, 3);
  EXPECT_EQ(check.completion_tokens, 14);
  EXPECT_EQ(check.sampled_tokens, 18);
  EXPECT_EQ(check.open_count, 1);
  EXPECT_EQ(check.overbilled_count + check.unbilled_count + check.uncomputed_count, 0);
  EXPECT_TRUE(check.findings.empty());
}

TEST_P(ComputedUsageStore, NamesWhatIsWrong) {
  const ReserveCommand over = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(over, 10, 9), kNow));
  const ReserveCommand unheard = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(unheard, 10, 0), kNow));
  const ReserveCommand forgotten = Reserved();
  ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 1);
  Record({Event(over, 8, "ring/1"), Event(forgotten, 7, "ring/2")});
  const UsageCheck check = Check();
  EXPECT_EQ(check.overbilled_count, 1);
  EXPECT_EQ(check.unbilled_count, 1);
  EXPECT_EQ(check.uncomputed_count, 1);
  ASSERT_EQ(check.findings.size(), 3u);
  EXPECT_EQ(check.findings[0].kind, UsageFinding::Kind::kOverbilled);
  EXPECT_EQ(check.findings[0].request_id, over.request_id);
  EXPECT_EQ(check.findings[0].completion_tokens, 9);
  EXPECT_EQ(check.findings[0].sampled_tokens, 8);
  EXPECT_EQ(check.findings[1].kind, UsageFinding::Kind::kUnbilled);
  EXPECT_EQ(check.findings[1].request_id, forgotten.request_id);
  EXPECT_EQ(check.findings[2].kind, UsageFinding::Kind::kUncomputed);
  EXPECT_EQ(check.findings[2].request_id, unheard.request_id);
  EXPECT_EQ(Check("ke", 1).findings.size(), 1u);
  const auto earlier = store_.CheckUsage(Tenant("ke"), {kNow - 2h, kNow - 1h, 100}, kNow).value();
  EXPECT_EQ(earlier.usage_record_count + earlier.computed_event_count, 0);
}

// The first attempt's worker was killed and is told of at once; what the second one computed is told of later.
TEST_P(ComputedUsageStore, CallsNothingOverbilledOrUncomputedBeforeNodesHadTheTimeToTell) {
  const ReserveCommand retried = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(retried, 10, 9), kNow));
  const ReserveCommand unheard = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(unheard, 10, 3), kNow));
  Record({Event(retried, 2, "ring/1")});
  const auto check = [&](Time now) {
    return store_.CheckUsage(Tenant("ke"), {kNow - 1h, kNow + 1h, 100}, now).value();
  };
  const UsageCheck soon = check(kNow + 60s);
  EXPECT_EQ(soon.overbilled_count + soon.uncomputed_count, 0);
  EXPECT_EQ(soon.unreported_count, 2);
  EXPECT_TRUE(soon.findings.empty());
  const UsageCheck late = check(kNow + 61s);
  EXPECT_EQ(late.overbilled_count, 1);
  EXPECT_EQ(late.uncomputed_count, 1);
  EXPECT_EQ(late.unreported_count, 0);
  Record({Event(retried, 7, "ring/2"), Event(unheard, 3, "ring/3")});
  for (const Time now : {kNow + 60s, kNow + 61s}) {
    const UsageCheck told = check(now);
    EXPECT_EQ(told.overbilled_count + told.uncomputed_count + told.unreported_count, 0);
  }
}

TEST_P(ComputedUsageStore, FindsWhatEndedLongAgoAndIsStillNotSettled) {
  const ReserveCommand forgotten = Reserved();
  const ReserveCommand settled = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(settled, 10, 5), kNow));
  Record({Event(forgotten, 7, "ring/1"), Event(settled, 5, "ring/2")});
  const auto check = [&](Time now) {
    return store_.CheckUsage(Tenant("ke"), {kNow - 1h, kNow + 1h, 100}, now).value();
  };
  const UsageCheck soon = check(kNow + 2s + 15min);
  EXPECT_EQ(soon.unsettled_count, 0);
  EXPECT_EQ(soon.open_count, 1);
  const UsageCheck late = check(kNow + 3s + 15min);
  EXPECT_EQ(late.unsettled_count, 1);
  EXPECT_EQ(late.open_count, 0);
  ASSERT_EQ(late.findings.size(), 1u);
  EXPECT_EQ(late.findings[0].kind, UsageFinding::Kind::kUnsettled);
  EXPECT_EQ(late.findings[0].request_id, forgotten.request_id);
  EXPECT_EQ(late.findings[0].sampled_tokens, 7);
  ASSERT_TRUE(store_.Settle(Settlement(forgotten, 10, 7), kNow));
  EXPECT_EQ(check(kNow + 1h).unsettled_count, 0);
}

TEST_P(ComputedUsageStore, HoldsARecordAgainstEventsOfAnyTime) {
  const ReserveCommand request = Reserved();
  ASSERT_TRUE(store_.Settle(Settlement(request, 10, 9), kNow));
  ComputedUsage late = Event(request, 9, "ring/1");
  late.start_time = late.end_time = kNow + 2h;
  Record({late});
  EXPECT_EQ(Check().uncomputed_count, 0);
  EXPECT_EQ(Check().computed_event_count, 0) << "it started after the range";
}

TEST_P(ComputedUsageStore, LetsTenantBNeitherSeeNorDisturbTenantA) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  const ReserveCommand ours = Reserved("ke");
  ASSERT_TRUE(store_.Settle(Settlement(ours, 10, 9), kNow));
  ASSERT_EQ(Record({Event(ours, 9, "ring/1")}).recorded, 1);
  EXPECT_TRUE(List({.tenant = Tenant("tz")}).empty());
  EXPECT_TRUE(List({.tenant = Tenant("tz"), .request_id = ours.request_id}).empty());
  // The same ids under the other tenant are other events, and answer for nothing of ours.
  ComputedUsage theirs = Event(Request("tz"), 1, "ring/1");
  theirs.request_id = ours.request_id;
  EXPECT_EQ(Record({theirs}, "tz").recorded, 1);
  EXPECT_EQ(List().size(), 1u);
  EXPECT_EQ(List()[0].sampled_tokens, 9);
  EXPECT_EQ(Check("ke").overbilled_count, 0);
  EXPECT_EQ(Check("tz").open_count, 1) << "nothing of theirs settled that id";
}

TEST(ComputedUsageTable, IsInsertOnlyAndRefusesTenantsWithoutAnAccount) {
  PgHarness harness;
  OpenKenya(harness.store(), 1);
  const auto run = [&](const std::string& tenant, const std::string& sql) {
    const auto done = harness.pool().Run<int>(
        Tenant(tenant), [&](TenantTx& tx) -> Result<int> { return static_cast<int>(tx.Exec(sql).affected_rows()); });
    return done ? std::to_string(*done) : std::string("refused");
  };
  const auto insert = [](const std::string& tenant, const std::string& sampled) {
    return "INSERT INTO billing.computed_usage (tenant_id, event_id, request_id, instance, node, replica_id, "
           "prompt_tokens_computed, prompt_tokens_cached, sampled_tokens, outcome, start_time, end_time) VALUES ('" +
           Tenant(tenant).ToString() + "', 'e', gen_random_uuid(), 'i', 'n', gen_random_uuid(), 0, 0, " + sampled +
           ", 'lost', now(), now())";
  };
  EXPECT_EQ(run("ke", insert("ke", "1")), "1");
  EXPECT_EQ(run("ke", insert("ke", "-1")), "refused");
  EXPECT_EQ(run("ke", insert("tz", "1")), "refused") << "row-level security";
  EXPECT_EQ(run("tz", insert("tz", "1")), "refused") << "no account";
  EXPECT_EQ(run("tz", "SELECT * FROM billing.computed_usage"), "0");
  EXPECT_EQ(run("ke", "UPDATE billing.computed_usage SET sampled_tokens = 5"), "refused");
  EXPECT_EQ(run("ke", "DELETE FROM billing.computed_usage"), "refused");
}

}  // namespace
}  // namespace allod::billing::billing_computed_test
