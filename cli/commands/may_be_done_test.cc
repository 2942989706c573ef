#include "cli/commands/may_be_done.h"

#include <gmock/gmock.h>

namespace allod::cli::commands::may_be_done_test {
namespace {

using testing::HasSubstr;

TEST(ToRepeat, SaysHowWhereNobodyKnowsWhetherItWasDone) {
  for (const Code code : {Code::kDeadlineExceeded, Code::kUnavailable, Code::kCancelled, Code::kUnknown,
                          Code::kInternal, Code::kDataLoss}) {
    const Error error = ToRepeat({code, "RPC_FAILED", "the connection broke"}, "0193-id");
    EXPECT_THAT(error.message, HasSubstr("the connection broke"));
    EXPECT_THAT(error.message, HasSubstr("--request-id 0193-id"));
    EXPECT_EQ(error.code, code);
  }
}

TEST(ToRepeat, LeavesAClearNoAsItIs) {
  for (const Code code : {Code::kInvalidArgument, Code::kFailedPrecondition, Code::kNotFound, Code::kAlreadyExists,
                          Code::kPermissionDenied, Code::kAborted, Code::kResourceExhausted}) {
    EXPECT_EQ(ToRepeat({code, "CREDIT_EXCEEDS_INVOICE", "no"}, "0193-id").message, "no");
  }
}

}  // namespace
}  // namespace allod::cli::commands::may_be_done_test
