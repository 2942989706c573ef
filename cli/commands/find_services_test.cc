#include "cli/commands/find_services.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "cli/commands/session_file.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::commands::find_services_test {
namespace {

using namespace std::chrono_literals;

constexpr char kGateway[] = "https://allod.example";

// A machine on which no installation is up, of somebody whose files lie in a directory of the test's.
class FindServicesTest : public testing::Test {
 protected:
  FindServicesTest() {
    ::unsetenv("ALLOD_STATE");
    ::setenv("XDG_STATE_HOME", (home_ / "state").c_str(), 1);
    ::setenv("ALLOD_SESSION", (home_ / "session.json").c_str(), 1);
    ::unsetenv("ALLOD_GATEWAY");
  }
  void SetUp() override {
    // Of root there is one place, which is the machine's.
    if (::geteuid() == 0 && std::filesystem::exists("/var/lib/allod"))
      GTEST_SKIP() << "an installation of root's is here";
  }
  ~FindServicesTest() override {
    ::unsetenv("ALLOD_STATE");
    ::unsetenv("XDG_STATE_HOME");
    ::unsetenv("ALLOD_SESSION");
  }
  static void SignIn(std::chrono::seconds life = 1h) {
    ASSERT_TRUE(SaveSession({kGateway, "ald2_token", std::chrono::system_clock::now() + life}));
  }
  static std::string Why(const Destination& destination) {
    const auto found = FindServices(destination);
    return found ? found->installation() == nullptr ? "a person" : "an operator" : found.error().reason;
  }

  const TempDir home_;
};

TEST_F(FindServicesTest, IsThePersonWhereNoInstallationIsUp) {
  EXPECT_EQ(Why({}), "NOT_UP");
  EXPECT_NE(FindServices({}).error().message.find("allod login"), std::string::npos);
  SignIn();
  EXPECT_EQ(Why({}), "a person");
  EXPECT_EQ(Why({.as_person = true}), "a person");
  EXPECT_EQ(Why({.gateway = kGateway}), "a person");
  EXPECT_EQ(Why({.gateway = std::string(kGateway) + "/"}), "a person");
  EXPECT_EQ(Why({.state = {(home_ / "other").string(), ""}}), "NOT_UP") << "an installation was named";
  EXPECT_EQ(Why({.state = {"", "support"}, .as_person = true}), "TWO_CALLERS");
}

TEST_F(FindServicesTest, IsNoPersonForWhoNamedAnInstallation) {
  SignIn();
  ::setenv("ALLOD_STATE", (home_ / "named").c_str(), 1);
  EXPECT_EQ(Why({}), "NOT_UP");
  EXPECT_EQ(Why({.as_person = true}), "a person");
  ::setenv("ALLOD_STATE", "", 1);
  EXPECT_EQ(Why({}), "a person");
}

TEST_F(FindServicesTest, IsNoPersonBecauseTheInstallationCannotBeLookedAt) {
  SignIn();
  ::unsetenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const std::string kept = home == nullptr ? "" : home;
  ::unsetenv("HOME");
  const std::string why = Why({});
  if (home != nullptr) ::setenv("HOME", kept.c_str(), 1);
  EXPECT_EQ(why, ::geteuid() == 0 ? "a person" : "NO_STATE_DIR");
}

TEST_F(FindServicesTest, ShowsTheSessionToNoOtherGateway) {
  SignIn();
  EXPECT_TRUE(SessionAt(""));
  EXPECT_TRUE(SessionAt(kGateway));
  EXPECT_EQ(SessionAt("https://other.example").error().reason, "OTHER_GATEWAY");
  EXPECT_EQ(Why({.gateway = "https://other.example"}), "OTHER_GATEWAY");
  EXPECT_EQ(Why({.gateway = "http://allod.example"}), "NOT_HTTPS");
}

TEST_F(FindServicesTest, SaysWhatToDoWithoutASession) {
  EXPECT_EQ(Why({.as_person = true}), "NOT_SIGNED_IN");
  EXPECT_EQ(Why({.gateway = kGateway}), "NOT_SIGNED_IN");
  SignIn(-1s);
  EXPECT_EQ(Why({.as_person = true}), "SESSION_EXPIRED");
  EXPECT_EQ(Why({}), "SESSION_EXPIRED");
}

TEST_F(FindServicesTest, ReadsTheProjectWhoseRolesCount) {
  SignIn();
  EXPECT_EQ(Why({.as_person = true, .project = "tenants/ke/projects/p"}), "a person");
  EXPECT_EQ(Why({.as_person = true, .project = "p"}), "INVALID_NAME");
}

TEST_F(FindServicesTest, LeavesWhatOperatorsDoToThem) {
  SignIn();
  EXPECT_EQ(FindInstallation({}).error().reason, "NOT_UP");
  EXPECT_EQ(FindInstallation({.as_person = true}).error().reason, "OPERATORS_ONLY");
  EXPECT_EQ(FindInstallation({.gateway = kGateway}).error().reason, "OPERATORS_ONLY");
}

}  // namespace
}  // namespace allod::cli::commands::find_services_test
