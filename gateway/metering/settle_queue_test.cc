#include "gateway/metering/settler.h"

#include <gtest/gtest.h>

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReserveTimeMax(7000);

Settlement Of(bool reserved, std::int64_t completion_tokens) {
  Settlement out;
  out.entry.admit_time = Time(std::chrono::seconds(1'900'000'000));
  out.reserved = reserved;
  out.completion_tokens = completion_tokens;
  return out;
}

TEST(Judge, DropsNothingThatBillingRefuses) {
  for (const Code code : {Code::kInvalidArgument, Code::kAlreadyExists, Code::kFailedPrecondition, Code::kOutOfRange,
                          Code::kPermissionDenied, Code::kUnauthenticated, Code::kUnimplemented, Code::kInternal,
                          Code::kUnknown, Code::kDataLoss, Code::kNotFound}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kRefused) << CodeName(code);
  }
  EXPECT_EQ(Judge(Code::kOk, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kSettled);
}

TEST(Judge, TellsBillingThatIsAwayFromATenantThatIsBusy) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kCancelled}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kAway) << CodeName(code);
  }
  for (const Code code : {Code::kResourceExhausted, Code::kAborted}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kBusy)
        << CodeName(code) << ": one tenant's lock must not slow the others' settlements";
  }
}

TEST(Judge, ForgetsOnlyWhatWasNeverReservedAndNeverRan) {
  const Time admitted = Of(false, 0).entry.admit_time;
  const auto judge = [&](bool reserved, std::int64_t tokens, milliseconds after) {
    return Judge(Code::kNotFound, Of(reserved, tokens), admitted + after, kReserveTimeMax);
  };
  EXPECT_EQ(judge(false, 0, kReserveTimeMax - milliseconds(1)), SettleVerdict::kInDoubt);
  EXPECT_EQ(judge(false, 0, kReserveTimeMax), SettleVerdict::kVoid);
  EXPECT_EQ(judge(true, 0, kReserveTimeMax), SettleVerdict::kRefused) << "billing had it once";
  EXPECT_EQ(judge(false, 1, kReserveTimeMax), SettleVerdict::kRefused) << "tokens were delivered";
}

}  // namespace
}  // namespace allod::gateway::metering
