// Quotes over real gRPC: what they say, and that they bind.
#include <gmock/gmock.h>

#include <functional>
#include <thread>

#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_quotes_test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class SchedulingQuotes : public SchedulingServiceTest {
 protected:
  SchedulingQuotes() {
    peers_.price_book = Book("50", "150.5", "0.9");
    quote_stub_ = v1::QuoteService::NewStub(MakeChannel(address_));
  }
  static billing::v1::PriceBook Book(const std::string& prompt, const std::string& completion,
                                     const std::string& hour) {
    billing::v1::PriceBook book;
    auto& row = *book.add_prices();
    row.set_currency_code("KES");
    row.set_prompt_price_per_million(prompt);
    row.set_completion_price_per_million(completion);
    row.set_instance_price_per_hour(hour);
    return book;
  }
  static v1::CreateQuoteRequest Asked(int replicas = 2) {
    v1::CreateQuoteRequest request;
    request.set_parent("tenants/ke/projects/p");
    *request.mutable_quote()->mutable_spec() = CreateRequest().instance().spec();
    request.mutable_quote()->mutable_spec()->set_replicas(replicas);
    request.mutable_quote()->mutable_use()->set_requests_per_day(1000);
    request.mutable_quote()->mutable_use()->set_prompt_tokens(31);
    request.mutable_quote()->mutable_use()->set_completion_tokens(17);
    return request;
  }
  Result<v1::Quote> Ask(const v1::CreateQuoteRequest& request, const Caller& caller = kTenant) {
    return CallUnary(*quote_stub_, &v1::QuoteService::Stub::CreateQuote, request, caller, kTimeout);
  }
  Result<v1::Quote> GetQuote(const std::string& name, const Caller& caller = kTenant) {
    v1::GetQuoteRequest request;
    request.set_name(name);
    return CallUnary(*quote_stub_, &v1::QuoteService::Stub::GetQuote, request, caller, kTimeout);
  }
  // The reason why the instance is refused; else its price book.
  std::string Apply(const std::string& id, const v1::Quote& quote,
                    const std::function<void(v1::InstanceSpec&)>& change = {}) {
    v1::CreateInstanceRequest request = CreateRequest(id);
    v1::InstanceSpec& spec = *request.mutable_instance()->mutable_spec();
    spec.set_replicas(quote.spec().replicas());
    spec.set_quote(quote.name());
    if (change) change(spec);
    const auto made = Create(request);
    if (!made) return made.error().reason;
    return Get(id)->status().price_book();
  }

  std::unique_ptr<v1::QuoteService::Stub> quote_stub_;
};

TEST_F(SchedulingQuotes, SaysPricesCostAndWhetherItFits) {
  const auto lonely = Ask(Asked());
  ASSERT_TRUE(lonely) << lonely.error().message;
  EXPECT_FALSE(lonely->fits());
  EXPECT_THAT(lonely->fit_message(), HasSubstr("ke-1"));

  const Agent agent(*agent_stub_, "n");
  for (int i = 0; i < 500 && driver_.Capacity(clock_.Now()).empty(); ++i) std::this_thread::sleep_for(milliseconds(10));
  const auto quote = Ask(Asked());
  ASSERT_TRUE(quote) << quote.error().message;
  EXPECT_TRUE(quote->fits()) << quote->fit_message();
  EXPECT_THAT(quote->name(), StartsWith("tenants/ke/projects/p/quotes/"));
  EXPECT_EQ(quote->spec().context_tokens(), 1024) << "defaults are filled in";
  EXPECT_EQ(quote->prompt_price_per_million(), "50");
  EXPECT_EQ(quote->completion_price_per_million(), "150.5");
  EXPECT_EQ(quote->instance_price_per_hour(), "0.9");
  EXPECT_EQ(quote->monthly_token_cost().amount(), "123.255");
  EXPECT_EQ(quote->monthly_time_cost().amount(), "1296");
  EXPECT_EQ(quote->monthly_cost().amount(), "1419.255");
  EXPECT_EQ(quote->monthly_cost().currency_code(), "KES");
  EXPECT_EQ(quote->use().hours_per_day(), 24);
  EXPECT_EQ(quote->expire_time().seconds() - quote->create_time().seconds(), 14 * 86400);

  peers_.tenant.mutable_quota()->set_replicas(1);
  EXPECT_THAT(Ask(Asked())->fit_message(), HasSubstr("quota.replicas"));
}

TEST_F(SchedulingQuotes, AreJudgedLikeTheInstance) {
  auto elsewhere = Asked();
  elsewhere.mutable_quote()->mutable_spec()->set_region("regions/tz-1");
  EXPECT_EQ(Ask(elsewhere).error().reason, "REGION_OUTSIDE_RESIDENCY");
  auto odd = Asked();
  odd.mutable_quote()->mutable_use()->set_hours_per_day(25);
  EXPECT_EQ(Ask(odd).error().reason, "INVALID_USE");
  auto nested = Asked();
  nested.mutable_quote()->mutable_spec()->set_quote(Ask(Asked())->name());
  EXPECT_EQ(Ask(nested).error().reason, "INVALID_SPEC");
  peers_.price_book = billing::v1::PriceBook();
  peers_.listing.set_price_book("priceBooks/none");
  EXPECT_EQ(Ask(Asked()).error().reason, "PRICE_NOT_FOUND");
}

TEST_F(SchedulingQuotes, TheSameRequestGetsTheSameQuote) {
  auto request = Asked();
  request.set_request_id(Uuid::V7().ToString());
  const auto first = Ask(request);
  ASSERT_TRUE(first);
  peers_.listing.set_state(catalog::v1::Listing::STATE_WITHDRAWN);
  const auto again = Ask(request);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  request.mutable_quote()->mutable_spec()->set_replicas(3);
  EXPECT_EQ(Ask(request).error().reason, "REQUEST_ID_REUSED");
}

TEST_F(SchedulingQuotes, AnInstanceWithOneIsBilledAtItAndOneWithoutAtTheNewPrices) {
  const auto quote = Ask(Asked());
  ASSERT_TRUE(quote);
  // The listing costs more from now on.
  peers_.more_price_books["priceBooks/dear"] = Book("500", "1505", "9");
  peers_.listing.set_price_book("priceBooks/dear");
  EXPECT_EQ(Apply("quoted", *quote), "priceBooks/b");
  EXPECT_EQ(Apply("unquoted", *quote, [](auto& spec) { spec.clear_quote(); }), "priceBooks/dear");
  EXPECT_EQ(Ask(Asked())->instance_price_per_hour(), "9");
  EXPECT_EQ(GetQuote(quote->name())->SerializeAsString(), quote->SerializeAsString()) << "it stays as it is";

  // A change that is not what was quoted needs another quote, or none.
  v1::UpdateInstanceRequest update;
  *update.mutable_instance() = *Get("quoted");
  update.mutable_instance()->mutable_spec()->set_replicas(3);
  const auto refused =
      CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout);
  EXPECT_EQ(refused.error().reason, "QUOTE_MISMATCH");
  EXPECT_THAT(refused.error().message, HasSubstr("spec.replicas is 3"));
  update.mutable_instance()->mutable_spec()->clear_quote();
  ASSERT_TRUE(CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout));
  EXPECT_EQ(Get("quoted")->status().price_book(), "priceBooks/dear");
}

TEST_F(SchedulingQuotes, BindNobodyElseAndNothingElse) {
  const auto quote = Ask(Asked());
  ASSERT_TRUE(quote);
  EXPECT_EQ(Apply("a", *quote, [](auto& spec) { spec.set_max_concurrency(9); }), "QUOTE_MISMATCH");
  EXPECT_EQ(Apply("a", *quote, [](auto& spec) { spec.set_quote("tenants/ke/projects/p/quotes/x"); }), "INVALID_NAME");
  EXPECT_EQ(
      Apply("a", *quote, [](auto& spec) { spec.set_quote("tenants/ke/projects/p/quotes/" + Uuid::V7().ToString()); }),
      "QUOTE_NOT_FOUND");
  EXPECT_EQ(GetQuote(quote->name(), Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_EQ(GetQuote(quote->name(), Caller::Key("ke", "q", {"portal"})).error().code, Code::kNotFound);
  std::string elsewhere = quote->name();
  elsewhere.replace(elsewhere.find("/projects/p/"), 12, "/projects/q/");
  EXPECT_EQ(GetQuote(elsewhere).error().code, Code::kNotFound);

  // One that has expired binds nobody any more.
  quotes::Quote old = *scheduling_.quote_store.GetQuote(
      *TenantId::FromName("tenants/ke"), *Uuid::Parse(quote->name().substr(quote->name().rfind('/') + 1)));
  old.id = Uuid::V7();
  old.expire_time = clock_.Now() - seconds(1);
  ASSERT_TRUE(scheduling_.quote_store.AddQuote(old, "tenants/ke"));
  v1::Quote expired = *quote;
  expired.set_name(old.name());
  EXPECT_EQ(Apply("a", expired), "QUOTE_EXPIRED");
}

TEST_F(SchedulingQuotes, ListsThoseOfTheProjectNewestFirst) {
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) names.insert(names.begin(), Ask(Asked())->name());
  v1::ListQuotesRequest request;
  request.set_parent("tenants/ke/projects/p");
  request.set_page_size(2);
  std::vector<std::string> listed;
  do {
    const auto page = CallUnary(*quote_stub_, &v1::QuoteService::Stub::ListQuotes, request, kTenant, kTimeout);
    ASSERT_TRUE(page) << page.error().message;
    for (const auto& quote : page->quotes()) listed.push_back(quote.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, names);
  request.set_parent("tenants/ke/projects/q");
  EXPECT_THAT(CallUnary(*quote_stub_, &v1::QuoteService::Stub::ListQuotes, request, kTenant, kTimeout)->quotes(),
              IsEmpty());
}

TEST_F(SchedulingQuotes, WithoutCreditNothingThatCostsByTheHourIsMade) {
  const auto quote = Ask(Asked());
  ASSERT_TRUE(quote);
  peers_.credit_used_up = true;
  EXPECT_EQ(Apply("a", *quote), "CREDIT_USED_UP");
  EXPECT_TRUE(Ask(Asked())) << "what it would cost is said all the same";
  peers_.more_price_books["priceBooks/free"] = Book("50", "150.5", "");
  peers_.listing.set_price_book("priceBooks/free");
  EXPECT_EQ(Apply("b", *quote, [](auto& spec) { spec.clear_quote(); }), "priceBooks/free");
}

}  // namespace
}  // namespace allod::scheduling::service_quotes_test
