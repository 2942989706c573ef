#include "cli/commands/key_file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "cli/commands/commands.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::commands::key_file_test {
namespace {

using testing::HasSubstr;

class KeyFileTest : public testing::Test {
 protected:
  Result<std::filesystem::path> Ask(const std::filesystem::path& file, bool replace = false) const {
    KeyFileOptions options;
    options.file = file;
    options.replace = replace;
    return KeyFileOf(net::Services(net::GatewaySession{}), "ke", "desk", options);
  }

  const TempDir home_;
};

TEST_F(KeyFileTest, OneThatIsThereIsKept) {
  const std::filesystem::path file = home_ / "a.key";
  ASSERT_TRUE(Ask(file));
  std::ofstream(file) << "a key";
  EXPECT_EQ(Ask(file).error().reason, "FILE_EXISTS");
  EXPECT_TRUE(Ask(file, true));
}

// As of a directory that one may not enter, which a test that runs as root cannot have.
TEST_F(KeyFileTest, WhereNobodyCanLookIsAnErrorThatSaysWhatHelps) {
  const std::filesystem::path file = home_ / std::string(300, 'x');
  for (const bool replace : {false, true}) {
    const auto refused = Ask(file, replace);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(refused.error().reason, "CANNOT_WRITE");
    EXPECT_THAT(refused.error().message, HasSubstr("File name too long; say with --file where"));
  }
}

TEST(Down, IsForTheInstallationsOwnUser) {
  Globals globals;
  CLI::App app;
  AddDown(app, globals);
  app.parse("down");
  globals.state.as = "support";
  const Status refused = globals.action();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("--as"));
}

}  // namespace
}  // namespace allod::cli::commands::key_file_test
