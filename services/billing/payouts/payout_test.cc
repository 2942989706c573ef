// Names of payouts, what is payable of what was earned, and their files.
#include "services/billing/payouts/payout.h"

#include <gmock/gmock.h>

#include "services/billing/payouts/payout_documents.h"

namespace allod::billing::payouts::payout_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 2) + 1h;

Amount Of(const char* text) { return Amount::Parse("amount", text).value(); }

PayoutKey Key() { return ParsePayoutName("payouts/big-tech-kes-2026-10", kNow).value(); }

std::vector<PayoutLine> Open(const char* share) {
  PayoutLine line{.listing = "listings/=formula", .basis_points = 3000, .document_count = 2, .net = Of("10.33")};
  line.share = Of(share);
  return {line};
}

TEST(PayoutName, IsReadFromItsEnd) {
  const PayoutKey key = Key();
  EXPECT_EQ(key.publisher, "publishers/big-tech");
  EXPECT_EQ(key.currency_code, "KES");
  EXPECT_EQ(key.period.name, "2026-10");
  EXPECT_EQ(key.ToName(), "payouts/big-tech-kes-2026-10");
  for (const char* wrong : {"", "payouts/", "payouts/kes-2026-10", "payouts/a-KES-2026-10", "payouts/a-xxq-2026-10",
                            "payouts/a-kes-2026-13", "payouts/a-kes-current", "payouts/a_kes-2026-10",
                            "payouts/A-kes-2026-10", "tenants/a-kes-2026-10"}) {
    EXPECT_FALSE(ParsePayoutName(wrong, kNow).has_value()) << wrong;
  }
}

TEST(PayableOf, IsNeverMoreThanWasEarned) {
  EXPECT_EQ(PayableOf(Of("1.239999"), 2), Of("1.23"));
  EXPECT_EQ(PayableOf(Of("1.239999"), 0), Of("1"));
  EXPECT_EQ(PayableOf(Of("0.009999"), 2), Amount());
  EXPECT_EQ(PayableOf(Of("-5"), 2), Amount());
}

TEST(DecidePayout, TakesAllOrRefuses) {
  const LegalEntity payer{.id = "allod-ke", .party = {.name = "Allod Kenya Ltd"}};
  const Payout payout = DecidePayout(Key(), payer, Open("3.099"), kNow).value();
  EXPECT_EQ(payout.earned, Of("3.099"));
  EXPECT_EQ(payout.payable, Of("3.09"));
  EXPECT_EQ(payout.lines.at(0).number, 1);
  EXPECT_EQ(DecidePayout(Key(), payer, Open("-1"), kNow).error().reason, "NOTHING_TO_PAY");
  EXPECT_EQ(DecidePayout(Key(), payer, {}, kNow).error().reason, "NOTHING_TO_PAY");
  EXPECT_EQ(DecidePayout(Key(), payer, Open("1"), kNow - 48h).error().reason, "PERIOD_OPEN");
}

TEST(CheckPayment, WantsADayThatIsThere) {
  EXPECT_TRUE(CheckPayment({"2026-11-02", "SWIFT 1"}, kNow).has_value());
  for (const char* day : {"", "2026-02-30", "2026-11-9", "2026-11-05", "2026-11-02x", "yesterday"}) {
    EXPECT_FALSE(CheckPayment({day, "SWIFT 1"}, kNow).has_value()) << day;
  }
  EXPECT_FALSE(CheckPayment({"2026-11-02", ""}, kNow).has_value());
}

TEST(CheckRevenueShare, NamesTheField) {
  EXPECT_TRUE(CheckRevenueShare({.listing = "listings/a", .publisher = "publishers/b", .basis_points = 10000}));
  EXPECT_THAT(
      CheckRevenueShare({.listing = "listings/a", .publisher = "publishers/b", .basis_points = 10001}).error().message,
      HasSubstr("basis_points"));
  EXPECT_THAT(CheckRevenueShare({.listing = "a", .publisher = "publishers/b"}).error().message, HasSubstr("listing"));
  EXPECT_THAT(CheckRevenueShare({.listing = "listings/a", .publisher = "b"}).error().message, HasSubstr("publisher"));
}

TEST(PayoutDocuments, SayTheSame) {
  Payout payout =
      DecidePayout(Key(), {.id = "allod-ke", .party = {.name = "Allod Kenya Ltd"}}, Open("3.099"), kNow).value();
  payout.number = "PAYOUT-allod-ke-000001";
  const auto csv = MakeCsv(payout).value();
  EXPECT_EQ(csv.file_name, "PAYOUT-allod-ke-000001.csv");
  EXPECT_THAT(csv.content, HasSubstr("1,listings/=formula,30,2,10.33,3.099,3.09\r\n"));
  const auto sheet = SheetOf(payout).value();
  EXPECT_EQ(sheet.totals.back().value, "KES 3.09");
  EXPECT_EQ(sheet.rows.at(0).running, "3.099");
}

}  // namespace
}  // namespace allod::billing::payouts::payout_test
