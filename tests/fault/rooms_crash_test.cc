// The same of what lies around usage: wallets, vouchers, the time of instances, roll-ups and what webhooks are told.
#include "allod/billing/v1/event_sink.grpc.pb.h"
#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "allod/billing/v1/wallet.grpc.pb.h"
#include "tests/fault/ledger_crash_fixture.h"

namespace allod::billing::ledger_crash {
namespace {

class RoomsCrash : public LedgerCrash {
 protected:
  std::string WalletOf(const std::string& tenant) {
    return store_.GetBillingAccount(Tenant(tenant))->wallet.ToString();
  }
  std::mutex mutex_;
  std::multiset<std::string> told_;
  // A webhook of every tenant.
  HttpReceiver receiver_{[this](const ReceivedRequest& request) {
    const std::lock_guard lock(mutex_);
    for (const auto& event : nlohmann::json::parse(request.body)) told_.insert(event.at("id").get<std::string>());
    return HttpReceiver::Response("200 OK");
  }};
};

TEST_F(RoomsCrash, MoneyComesIntoAWalletOnce) {
  using Wallets = v1::WalletService;
  AtEach({kPaymentWritten, kPaymentCommitted}, [&](const std::string& tenant) {
    v1::TopUpWalletRequest request;
    request.set_name("tenants/" + tenant + "/wallet");
    request.set_amount("5");
    request.set_request_id(Uuid::V7().ToString());
    const auto first = Insist<Wallets>(&Wallets::Stub::TopUpWallet, request);
    EXPECT_EQ(first.name(), Insist<Wallets>(&Wallets::Stub::TopUpWallet, request).name());
    EXPECT_EQ(WalletOf(tenant), "5");
  });
  AtEach({kPaymentWritten, kRedeemCommitted}, [&](const std::string& tenant) {
    v1::CreateVouchersRequest vouchers;
    vouchers.mutable_voucher()->mutable_amount()->set_amount("3");
    vouchers.mutable_voucher()->mutable_amount()->set_currency_code("KES");
    *vouchers.mutable_voucher()->mutable_expire_time() = ToTimestamp(Now() + 1h);
    vouchers.set_count(1);
    vouchers.set_request_id(Uuid::V7().ToString());
    const auto made = Insist<Wallets>(&Wallets::Stub::CreateVouchers, vouchers);
    ASSERT_EQ(made.vouchers_size(), 1);
    v1::RedeemVoucherRequest request;
    request.set_name("tenants/" + tenant + "/wallet");
    request.set_code(made.vouchers(0).code());
    request.set_request_id(Uuid::V7().ToString());
    const auto first = Insist<Wallets>(&Wallets::Stub::RedeemVoucher, request);
    EXPECT_EQ(first.name(), Insist<Wallets>(&Wallets::Stub::RedeemVoucher, request).name());
    EXPECT_EQ(WalletOf(tenant), "3");
  });
}

TEST_F(RoomsCrash, ASecondOfAnInstanceIsOwedOnce) {
  v1::CreatePriceBookRequest book;
  book.mutable_price_book()->set_name("priceBooks/" + Uuid::FromName("priceBooks/hourly").ToString());
  book.mutable_price_book()->set_listing("listings/hourly");
  auto& price = *book.mutable_price_book()->add_prices();
  price.set_currency_code("KES");
  price.set_prompt_price_per_million("1");
  price.set_completion_price_per_million("2");
  price.set_instance_price_per_hour("3.6");
  (void)Insist<v1::PriceBookService>(&v1::PriceBookService::Stub::CreatePriceBook, book);
  AtEach({kInstanceTimeWritten, kInstanceTimeCommitted}, [&](const std::string& tenant) {
    v1::RecordInstanceTimeRequest request;
    request.set_tenant("tenants/" + tenant);
    auto& interval = *request.add_intervals();
    interval.set_replica_uid(Uuid::V7().ToString());
    *interval.mutable_start_time() = ToTimestamp(Now() - 10min);
    *interval.mutable_until_time() = ToTimestamp(Now() - 8min);
    interval.set_instance("tenants/" + tenant + "/projects/p/instances/i");
    interval.set_generation(1);
    interval.set_variant("models/m/versions/v/variants/q4_k_m");
    interval.set_price_book(book.price_book().name());
    interval.set_isolation_class("isolated");
    using Times = v1::InstanceTimeService;
    for (int i = 0; i < 2; ++i) {
      const auto recorded = Insist<Times>(&Times::Stub::RecordInstanceTime, request, Caller::Service("scheduling"));
      ASSERT_EQ(recorded.recorded_size(), 1);
      EXPECT_EQ(recorded.recorded(0).reason(), "") << recorded.recorded(0).message();
    }
    EXPECT_EQ(Posted(tenant), static_cast<std::int64_t>(Kes("0.12").pico())) << "of 120 s at 0.001";
  });
}

TEST_F(RoomsCrash, UsageIsRolledUpOnce) {
  AtEach({kRollUpWritten}, [&](const std::string& tenant) {
    const std::string rolled_up =
        "SELECT coalesce(sum(request_count), 0)::bigint FROM billing.usage_rollups WHERE grain = 'day' AND tenant_id = "
        "'" +
        Tenant(tenant).ToString() + "'";
    (void)UseOnce(tenant);
    EXPECT_TRUE(Await([&] { return Count(rolled_up) > 0; }));
    (void)UseOnce(tenant);
    EXPECT_TRUE(Await([&] { return Count(rolled_up) == 2; })) << Count(rolled_up);
  });
}

TEST_F(RoomsCrash, AWebhookIsToldOfWhatIsCommitted) {
  AtEach({kEventsTaken, kEventsAnswered}, [&](const std::string& tenant) {
    v1::CreateEventSinkRequest sink;
    sink.set_parent("tenants/" + tenant);
    sink.set_event_sink_id("told");
    sink.mutable_event_sink()->set_display_name("Told");
    sink.mutable_event_sink()->set_url(receiver_.url());
    sink.mutable_event_sink()->add_kinds("usage.recorded");
    (void)Insist<v1::EventSinkService>(&v1::EventSinkService::Stub::CreateEventSink, sink);
    const std::string request = UseOnce(tenant).request_id();
    const auto is_told = [&] {
      pqxx::connection connection(database_.owner_url);
      pqxx::work work(connection);
      // What a billing that was killed had claimed would be sent again 20 s later.
      work.exec("UPDATE billing.event_sinks SET next_attempt_time = '-infinity' WHERE failures = 0");
      // Told and written down: nothing is left to be sent.
      const bool is_done =
          work.exec("SELECT count(*) FROM billing.event_sinks WHERE last_success_time IS NOT NULL AND tenant_id = '" +
                    Tenant(tenant).ToString() + "'")[0][0]
              .as<int>() == 1;
      work.commit();
      const std::lock_guard lock(mutex_);
      return is_done && told_.contains(request);
    };
    EXPECT_TRUE(Await(is_told));
  });
}

}  // namespace
}  // namespace allod::billing::ledger_crash
