#include "services/common/request_id.h"

#include <gtest/gtest.h>

namespace allod::request_id_test {
namespace {

constexpr char kId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

TEST(MakeRequestId, IsOptional) {
  const auto request = MakeRequestId("", "CreateTenant", "payload");
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->given());
}

TEST(MakeRequestId, RefusesWhatIsNoUuid) {
  for (const char* bad : {"1", "not-a-uuid", "00000000-0000-0000-0000-000000000000"}) {
    EXPECT_EQ(MakeRequestId(bad, "CreateTenant", "payload").error().reason, "INVALID_REQUEST_ID") << bad;
  }
}

TEST(CheckSamePayload, TellsRequestsApartByMethodAndPayload) {
  const auto request = MakeRequestId(kId, "CreateTenant", "payload");
  ASSERT_TRUE(request);
  EXPECT_TRUE(CheckSamePayload(*request, MakeRequestId(kId, "CreateTenant", "payload")->payload_sha256));
  for (const auto& other :
       {MakeRequestId(kId, "CreateTenant", "Payload"), MakeRequestId(kId, "CreateModel", "payload")}) {
    const auto status = CheckSamePayload(*request, other->payload_sha256);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kAlreadyExists);
    EXPECT_EQ(status.error().reason, "REQUEST_ID_REUSED");
  }
}

}  // namespace
}  // namespace allod::request_id_test
