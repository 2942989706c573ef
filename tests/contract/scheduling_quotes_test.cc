// What services/scheduling/quotes/quote_store.h promises, of the fake and of PostgreSQL.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "services/scheduling/quotes/pg_quote_store.h"
#include "services/scheduling/quotes/testing/fake_quote_store.h"
#include "tests/contract/scheduling_store_harness.h"

namespace allod::scheduling::quotes::quotes_test {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

const Time kMade = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + 7us;

struct Harness {
  virtual ~Harness() = default;
  virtual QuoteStore& quotes() = 0;
};
struct Fake final : Harness {
  QuoteStore& quotes() override { return store; }
  FakeQuoteStore store;
};
struct Pg final : Harness {
  QuoteStore& quotes() override { return store; }
  TestDatabase database{"scheduling"};
  PgPool pool{database.app_config()};
  PgQuoteStore store{pool};
};

class QuoteStoreTest : public testing::TestWithParam<std::function<std::unique_ptr<Harness>()>> {
 protected:
  Quote Made(Time at = kMade, const std::string& project = "tenants/ke/projects/p") {
    Quote quote;
    quote.tenant = ke_;
    quote.id = Uuid::V7();
    quote.project = project;
    quote.spec = {"listings/l", "models/m/versions/1/variants/q4_k_m", "ke-1", IsolationClass::kPooled, 2, 512, 4, 60};
    quote.use = {1000, 31, 17, 8};
    quote.prices = {"priceBooks/b", "KES", Amount::FromPico(3), Amount::FromPico(7), Amount::FromPico(11)};
    quote.monthly = CostOf(quote.prices, quote.use, quote.spec.replicas).value();
    quote.misfit = "region ke-1 has no node";
    quote.create_time = at;
    quote.expire_time = at + kQuoteLasts;
    return quote;
  }
  static std::string Shown(const Quote& q) {
    return fmt::format("{} {} {} {} {} {} {} {} {}", q.name(), q.spec.sleep_after_seconds, q.use.hours_per_day,
                       q.prices.second.ToString(), q.monthly.tokens.ToString(), q.monthly.total.ToString(), q.misfit,
                       q.create_time.time_since_epoch().count(), q.expire_time.time_since_epoch().count());
  }
  const TenantId ke_ = *TenantId::FromName("tenants/ke");
  const std::unique_ptr<Harness> harness_ = GetParam()();
  QuoteStore& quotes_ = harness_->quotes();
};

INSTANTIATE_TEST_SUITE_P(, QuoteStoreTest,
                         testing::Values([]() -> std::unique_ptr<Harness> { return std::make_unique<Fake>(); },
                                         []() -> std::unique_ptr<Harness> { return std::make_unique<Pg>(); }),
                         [](const auto& chosen) { return chosen.index == 0 ? "Fake" : "Postgres"; });

TEST_P(QuoteStoreTest, KeepsWhatWasSaid) {
  const Quote made = Made();
  const auto added = quotes_.AddQuote(made, "tenants/ke");
  ASSERT_TRUE(added) << added.error().message;
  const auto found = quotes_.GetQuote(ke_, made.id);
  ASSERT_TRUE(found);
  for (const Quote& quote : {*added, *found}) {
    EXPECT_EQ(Shown(quote), Shown(made));
    EXPECT_EQ(quote.spec, made.spec);
    EXPECT_EQ(quote.use, made.use);
    EXPECT_EQ(quote.prices, made.prices);
    EXPECT_EQ(quote.monthly, made.monthly);
  }
  EXPECT_EQ(quotes_.GetQuote(*TenantId::FromName("tenants/tz"), made.id).error().code, Code::kNotFound);
}

TEST_P(QuoteStoreTest, TheSameIdIsTheSameQuote) {
  const Quote made = Made();
  ASSERT_TRUE(quotes_.AddQuote(made, "tenants/ke"));
  Quote again = made;
  again.create_time += 1h;
  again.expire_time += 1h;
  EXPECT_EQ(Shown(*quotes_.AddQuote(again, "tenants/ke")), Shown(made));
  again.spec.replicas = 3;
  EXPECT_EQ(quotes_.AddQuote(again, "tenants/ke").error().reason, "REQUEST_ID_REUSED");
}

TEST_P(QuoteStoreTest, ListsAProjectsNewestFirst) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) {
    const Quote made = Made(kMade + i * 1s);
    ASSERT_TRUE(quotes_.AddQuote(made, "tenants/ke"));
    names.insert(names.begin(), made.name());
  }
  ASSERT_TRUE(quotes_.AddQuote(Made(kMade, "tenants/ke/projects/q"), "tenants/ke"));
  std::vector<std::string> listed;
  std::string after;
  while (listed.size() < names.size()) {
    auto page = quotes_.ListQuotes(ke_, "tenants/ke/projects/p", {"", 2, after});
    ASSERT_TRUE(page && !page->empty());
    if (page->size() > 2) page->resize(2);
    for (const Quote& quote : *page) listed.push_back(quote.name());
    after = page->back().id.ToString();
  }
  EXPECT_EQ(listed, names);
  EXPECT_THAT(*quotes_.ListQuotes(*TenantId::FromName("tenants/tz"), "tenants/ke/projects/p", {"", 9, ""}), IsEmpty());
}

TEST(PgQuoteStoreTest, ForgetsWhatExpiredLongAgoUnlessAnInstanceHasIt) {
  Pg pg;
  PgStore store(pg.pool);
  const TenantId ke = *TenantId::FromName("tenants/ke");
  Quote quote;
  quote.tenant = ke;
  quote.project = "tenants/ke/projects/p";
  quote.spec = {"listings/l", "models/m/versions/1/variants/q4_k_m", "ke-1", IsolationClass::kIsolated, 1, 512, 2};
  quote.prices = {"priceBooks/b", "KES"};
  quote.create_time = kMade;
  quote.expire_time = kMade + kQuoteLasts;
  std::vector<Uuid> ids;
  for (int i = 0; i < 2; ++i) {
    quote.id = Uuid::V7();
    ids.push_back(quote.id);
    ASSERT_TRUE(pg.store.AddQuote(quote, "tenants/ke"));
  }
  NewInstance instance;
  instance.tenant = ke;
  instance.tenant_name = "tenants/ke";
  instance.id = Uuid::V7();
  instance.operation = Uuid::V7();
  instance.name = "tenants/ke/projects/p/instances/i";
  instance.revision.spec = quote.spec;
  instance.revision.spec.quote = "tenants/ke/projects/p/quotes/" + ids[0].ToString();
  instance.revision.price_book = "priceBooks/b";
  instance.revision.artifact_sha256 = std::string(64, 'a');
  instance.revision.artifact_bytes = 1;
  instance.revision.trained_context_tokens = 1024;
  instance.revision.residency = {"ke"};
  instance.revision.demand = {{1, 1}};
  ASSERT_TRUE(store.CreateInstance(instance, {}));
  EXPECT_EQ(store.GetInstance(ke, instance.name)->current().spec.quote, instance.revision.spec.quote);
  quote.id = Uuid::V7();
  quote.create_time = quote.expire_time + kQuoteKept + 1s;
  quote.expire_time = quote.create_time + kQuoteLasts;
  ASSERT_TRUE(pg.store.AddQuote(quote, "tenants/ke"));
  EXPECT_TRUE(pg.store.GetQuote(ke, ids[0]));
  EXPECT_EQ(pg.store.GetQuote(ke, ids[1]).error().code, Code::kNotFound);
}

TEST(PgQuoteStoreTest, KnowsWhatIsPlaced) {
  Pg pg;
  EXPECT_THAT(*pg.store.ListPlaced(), IsEmpty());
  pqxx::connection owner(pg.database.owner_url);
  pqxx::work work(owner);
  const std::string tenant = TenantId::FromName("tenants/ke")->ToString();
  work.exec("INSERT INTO scheduling.tenants (id, name) VALUES ('" + tenant + "', 'tenants/ke')");
  work.exec(
      "INSERT INTO scheduling.nodes (id, region, memory_bytes, cpu_millis, session_epoch) VALUES ('n', 'ke-1', 100, "
      "100, 1)");
  work.exec(
      "INSERT INTO scheduling.leases (replica_id, tenant_id, node, epoch, memory_bytes, cpu_millis, shared_key, "
      "weights_bytes, "
      "pool_bytes) VALUES (gen_random_uuid(), '" +
      tenant + "', 'n', 3, 10, 20, 'k', 30, 40)");
  work.commit();
  const auto placed = *pg.store.ListPlaced();
  ASSERT_THAT(placed, SizeIs(1));
  EXPECT_EQ(placed[0].node, "n");
  EXPECT_EQ(placed[0].demand, (scheduler::Demand{{10, 20}, "k", 30, 40}));
}

}  // namespace
}  // namespace allod::scheduling::quotes::quotes_test
