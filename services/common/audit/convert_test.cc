#include "services/common/audit/convert.h"

#include <gtest/gtest.h>

namespace allod::audit::convert_test {
namespace {

Entry Some() {
  Entry entry;
  entry.sequence = 7;
  entry.time = Time(std::chrono::microseconds(1'800'000'000'123'456));
  entry.actor = {"api_key", "tenants/ke/projects/p/apiKeys/k", "k"};
  entry.action = "tenancy.apiKeys.create";
  entry.resource = "tenants/ke/projects/p/apiKeys/x";
  entry.outcome = Outcome::kRefused;
  entry.reason = "PERMISSION_MISSING";
  entry.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  entry.details = {{"count", "3"}, Personal("display_name", "Otieno"), Personal("erased", "Otieno")};
  entry.details[2].salt.reset();
  entry.details[2].value.clear();
  entry.hash = HashAfter({}, entry);
  return entry;
}

TEST(Convert, LosesNothingOfAnEntry) {
  const auto back = FromProto(ToProto(Some()));
  ASSERT_TRUE(back) << back.error().message;
  Entry entry = Some();
  // Salts are new each time.
  for (std::size_t i = 0; i < entry.details.size(); ++i) {
    EXPECT_EQ(back->details[i].erased(), entry.details[i].erased());
    EXPECT_EQ(back->details[i].commitment.has_value(), entry.details[i].commitment.has_value());
    EXPECT_EQ(back->details[i].value, entry.details[i].value);
  }
  EXPECT_EQ(HashAfter({}, *back), back->hash);
  entry.details = back->details;
  entry.hash = back->hash;
  EXPECT_EQ(*back, entry);
}

TEST(Convert, RefusesWhatIsNoEntry) {
  v1::AuditEntry message = ToProto(Some());
  message.set_hash("short");
  EXPECT_EQ(FromProto(message).error().reason, "INVALID_AUDIT_ENTRY");
  message = ToProto(Some());
  message.set_outcome(static_cast<v1::AuditEntry::Outcome>(9));
  EXPECT_EQ(FromProto(message).error().reason, "INVALID_AUDIT_ENTRY");
  message = ToProto(Some());
  message.mutable_details(1)->set_salt("short");
  EXPECT_EQ(FromProto(message).error().reason, "INVALID_AUDIT_ENTRY");
  message = ToProto(Some());
  for (int i = 0; i < 20; ++i) message.add_details()->set_name("d" + std::to_string(i));
  EXPECT_EQ(FromProto(message).error().reason, "INVALID_AUDIT_ENTRY");
}

TEST(Convert, KeepsAHead) {
  const Head head{12, HashAfter({}, Some())};
  const v1::AuditHead message = ToProto(head, "tenancy", "tenants/ke");
  EXPECT_EQ(message.service(), "tenancy");
  EXPECT_EQ(message.tenant(), "tenants/ke");
  EXPECT_EQ(*FromProto(message), head);
}

}  // namespace
}  // namespace allod::audit::convert_test
