#include "gateway/access/credentials.h"

#include <gtest/gtest.h>

namespace allod::gateway::access::credentials_test {
namespace {

class Named final : public Authenticator {
 public:
  explicit Named(std::string name) : name_(std::move(name)) {}
  Result<Principal> Authenticate(std::string_view, const std::optional<IpAddress>&) const override {
    Principal out;
    out.id = name_;
    return out;
  }

 private:
  const std::string name_;
};

TEST(Credentials, AreToldApartByTheirBeginning) {
  const Named keys("keys");
  const Named workloads("workloads");
  const Credentials credentials({{"ald1_", &workloads}}, keys);
  EXPECT_EQ(credentials.Authenticate("Bearer ald1_x", std::nullopt)->id, "workloads");
  EXPECT_EQ(credentials.Authenticate("bearer  ald1_x", std::nullopt)->id, "workloads");
  EXPECT_EQ(credentials.Authenticate("Bearer ald_x", std::nullopt)->id, "keys");
  EXPECT_EQ(credentials.Authenticate("Basic ald1_x", std::nullopt)->id, "keys");
  EXPECT_EQ(credentials.Authenticate("", std::nullopt)->id, "keys");
}

}  // namespace
}  // namespace allod::gateway::access::credentials_test
