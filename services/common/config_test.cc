#include "services/common/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace allod::config_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

struct Sample {
  std::string listen;
  int workers = 4;
  bool fast = false;
};

Result<Sample> Load(const std::string& text) {
  const TempDir dir;
  ALLOD_TRY(const ConfigFile file, ReadConfigFile(dir.Write("sample.json", text)));
  Sample out;
  ConfigReader reader(file);
  reader.Required("listen", out.listen);
  reader.Optional("workers", out.workers);
  reader.Optional("fast", out.fast);
  return reader.Finish(out);
}

TEST(Config, ReadsFieldsDefaultsAndComments) {
  const auto sample = Load("{\"listen\": \"unix:/x\", // where\n \"fast\": true}");
  ASSERT_TRUE(sample) << sample.error().message;
  EXPECT_EQ(sample->listen, "unix:/x");
  EXPECT_EQ(sample->workers, 4);
  EXPECT_TRUE(sample->fast);
}

TEST(Config, NamesEveryComplaintAtOnce) {
  const auto sample = Load(R"({"wokers": 8, "workers": "many", "fast": 1})");
  ASSERT_FALSE(sample);
  EXPECT_EQ(sample.error().reason, "INVALID_CONFIG");
  EXPECT_THAT(sample.error().message,
              AllOf(HasSubstr("sample.json"), HasSubstr("unknown field \"wokers\""), HasSubstr("listen is required"),
                    HasSubstr("workers:"), HasSubstr("fast:")));
}

TEST(Config, DoesNotCutOrWrapNumbers) {
  for (const char* workers : {"4.7", "3000000000", "-3000000000", "1e30", "true", "null", "\"4\""}) {
    EXPECT_FALSE(Load(std::string(R"({"listen": "x", "workers": )") + workers + "}")) << workers;
  }
}

TEST(Config, RefusesWhatIsNoJsonObject) {
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{"), std::string("\xff"),
                                  std::string(500'000, '['), std::string((1 << 20) + 1, ' ')}) {
    const auto sample = Load(text);
    ASSERT_FALSE(sample);
    EXPECT_EQ(sample.error().reason, "INVALID_CONFIG");
  }
}

TEST(Config, RefusesAMissingFileAndADirectory) {
  const TempDir dir;
  EXPECT_FALSE(ReadConfigFile(dir / "absent.json"));
  EXPECT_FALSE(ReadConfigFile(dir.path()));
}

TEST(SecretFile, IsReadWithoutItsFinalNewline) {
  const TempDir dir;
  EXPECT_EQ(*ReadSecretFile(dir.Write("secret", "s3cret\n")), "s3cret");
}

TEST(SecretFile, IsRefusedWhenOthersMayReadIt) {
  const TempDir dir;
  const fs::path path = dir.Write("secret", "s3cret");
  fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
  const auto secret = ReadSecretFile(path);
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().reason, "INSECURE_FILE");
  EXPECT_THAT(secret.error().message, testing::Not(HasSubstr("s3cret")));
}

TEST(SecretFile, IsRefusedWhenEmptyOrAbsent) {
  const TempDir dir;
  EXPECT_FALSE(ReadSecretFile(dir.Write("secret", "\n")));
  EXPECT_FALSE(ReadSecretFile(dir / "absent"));
}

}  // namespace
}  // namespace allod::config_test
