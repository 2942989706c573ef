// The RPCs of price terms over a real connection.
#include "services/billing/terms/terms_service.h"

#include <gtest/gtest.h>

#include "services/billing/terms/testing/fake_terms_store.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::terms::terms_service_test {
namespace {

class TermsRpc : public testing::Test {
 protected:
  TermsRpc() {
    clock_.Set(std::chrono::sys_days(std::chrono::year(2026) / 10 / 15));
    server_ = Server::Start({.listen = address_}, {&service_}).value();
    stub_ = v1::PriceTermsService::NewStub(MakeChannel(address_));
  }
  template <typename Req, typename Resp>
  Result<Resp> As(const Caller& caller,
                  grpc::Status (v1::PriceTermsService::Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
                  const Req& request) {
    return CallUnary(*stub_, method, request, caller, std::chrono::seconds(10));
  }
  Result<v1::AgreedTerms> Set(const v1::SetPriceTermsRequest& request, const Caller& caller = Caller::Operator()) {
    return As(caller, &v1::PriceTermsService::Stub::SetPriceTerms, request);
  }
  Result<v1::AgreedTerms> Get(const std::string& version, const Caller& caller = Caller::Tenant("ke")) {
    v1::GetPriceTermsRequest request;
    request.set_name("tenants/ke/priceTerms/" + version);
    return As(caller, &v1::PriceTermsService::Stub::GetPriceTerms, request);
  }
  static v1::SetPriceTermsRequest Request(const char* period = "2026-10") {
    v1::SetPriceTermsRequest request;
    auto& terms = *request.mutable_price_terms();
    terms.set_name("tenants/ke/priceTerms/-");
    terms.set_start_period(period);
    terms.add_free_tokens()->set_tokens(1'000'000);
    auto& tier = *terms.add_volume_tiers()->add_tiers();
    tier.set_from_tokens(5'000'000);
    tier.set_basis_points(1'000);
    auto& discount = *terms.add_discounts();
    discount.set_model("models/m");
    discount.set_basis_points(250);
    auto& level = *terms.add_service_level();
    level.set_below_basis_points(9'950);
    level.set_credit_basis_points(1'000);
    terms.set_free_amount("12.5");
    terms.mutable_commitment()->set_monthly_amount("1000");
    terms.mutable_commitment()->set_months(12);
    return request;
  }

  FakeClock clock_;
  CallGates gates_;
  FakeTermsStore store_;
  PriceTermsServiceImpl service_{store_, clock_, gates_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "t.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::PriceTermsService::Stub> stub_;
};

TEST_F(TermsRpc, WhatIsSetIsWhatTheTenantSees) {
  auto request = Request();
  request.set_validate_only(true);
  EXPECT_EQ(Set(request)->name(), "tenants/ke/priceTerms/1");
  EXPECT_EQ(Get("current").error().code, Code::kNotFound) << "nothing was written";
  request.set_validate_only(false);
  const auto set = Set(request);
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(Get("current")->SerializeAsString(), set->SerializeAsString());
  EXPECT_EQ(Get("1")->SerializeAsString(), set->SerializeAsString());
  v1::AgreedTerms asked = *set;
  asked.set_name(request.price_terms().name());
  asked.clear_create_time();
  EXPECT_EQ(asked.SerializeAsString(), request.price_terms().SerializeAsString());
  request.mutable_price_terms()->set_note("Contract 7");
  EXPECT_EQ(Set(request)->name(), "tenants/ke/priceTerms/2");
  v1::ListPriceTermsRequest list;
  list.set_parent("tenants/ke");
  list.set_page_size(1);
  auto page = As(Caller::Tenant("ke"), &v1::PriceTermsService::Stub::ListPriceTerms, list);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->price_terms(0).name(), "tenants/ke/priceTerms/2");
  list.set_page_token(page->next_page_token());
  page = As(Caller::Tenant("ke"), &v1::PriceTermsService::Stub::ListPriceTerms, list);
  EXPECT_EQ(page->price_terms(0).name(), "tenants/ke/priceTerms/1");
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(TermsRpc, OnlyTheOperatorSetsAndOnlyTheTenantReads) {
  EXPECT_EQ(Set(Request(), Caller::Tenant("ke")).error().code, Code::kPermissionDenied);
  ASSERT_TRUE(Set(Request()));
  EXPECT_EQ(Get("current", Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_EQ(Get("current", Caller::Key("ke", "p", {"portal"})).error().reason, "PROJECT_KEY");
}

TEST_F(TermsRpc, SaysWhatIsWrong) {
  const auto reason = [&](auto&& spoil) {
    auto request = Request();
    spoil(*request.mutable_price_terms());
    return Set(request).error().reason;
  };
  EXPECT_EQ(reason([](auto& terms) { terms.set_start_period("October"); }), "INVALID_PERIOD");
  EXPECT_EQ(reason([](auto& terms) { terms.set_start_period("2024-10"); }), "TERMS_OUT_OF_ORDER");
  EXPECT_EQ(reason([](auto& terms) { terms.set_free_amount("1,5"); }), "INVALID_AMOUNT");
  EXPECT_EQ(reason([](auto& terms) { terms.set_free_amount("1.005"); }), "INVALID_TERMS");
  EXPECT_EQ(reason([](auto& terms) { terms.mutable_discounts(0)->set_basis_points(0); }), "INVALID_TERMS");
  EXPECT_EQ(Get("x").error().reason, "INVALID_NAME");
  EXPECT_EQ(Get("0").error().reason, "INVALID_NAME");
}

}  // namespace
}  // namespace allod::billing::terms::terms_service_test
