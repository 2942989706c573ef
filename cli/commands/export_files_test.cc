#include "cli/commands/export_files.h"

#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "services/common/digest.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::commands::export_files_test {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value out;
  out.set_string_value(text);
  return out;
}

Status AddTexts(ExportFiles& files, const std::string& kind, const std::vector<std::string>& texts) {
  return files.AddKind(kind, [&](const ExportFiles::Write& write) -> Status {
    for (const std::string& text : texts) ALLOD_CHECK_OK(write(Text(text)));
    return {};
  });
}

class ExportFilesTest : public testing::Test {
 protected:
  // How many things lie beside the target.
  std::ptrdiff_t Entries() const {
    return std::distance(fs::directory_iterator(dir_.path()), fs::directory_iterator());
  }
  const TempDir dir_;
};

TEST_F(ExportFilesTest, IsThereAsAWholeOrNotAtAll) {
  const fs::path target = dir_ / "ke";
  {
    auto files = ExportFiles::Begin(target);
    ASSERT_TRUE(files) << files.error().message;
    ASSERT_TRUE(AddTexts(*files, "projects", {"a", "b\nc"}));
    EXPECT_FALSE(fs::exists(target));
  }
  EXPECT_EQ(Entries(), 0) << "what was not committed is gone";
  auto files = ExportFiles::Begin(target);
  ASSERT_TRUE(AddTexts(*files, "projects", {"a", "b\nc"}));
  ASSERT_TRUE(AddTexts(*files, "keys", {}));
  ASSERT_TRUE(files->Commit({{"tenant", "tenants/ke"}}));
  EXPECT_EQ(Entries(), 1);
  EXPECT_EQ(Read(target / "projects.jsonl"), "\"a\"\n\"b\\nc\"\n");
  EXPECT_EQ(Read(target / "keys.jsonl"), "");
  const auto index = nlohmann::json::parse(Read(target / "index.json"));
  EXPECT_EQ(index.at("tenant"), "tenants/ke");
  ASSERT_EQ(index.at("files").size(), 2U);
  EXPECT_EQ(index.at("files")[0].at("name"), "projects.jsonl");
  EXPECT_EQ(index.at("files")[0].at("lines"), 2);
  EXPECT_EQ(index.at("files")[0].at("bytes"), 11);
  EXPECT_EQ(index.at("files")[0].at("sha256"), Sha256Hex("\"a\"\n\"b\\nc\"\n"));
  struct stat about {};
  for (const char* name : {"projects.jsonl", "keys.jsonl", "index.json"}) {
    ASSERT_EQ(stat((target / name).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600U) << name;
  }
  ASSERT_EQ(stat(target.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
}

TEST_F(ExportFilesTest, ReplacesAnEarlierOneAndNothingElse) {
  const fs::path target = dir_ / "ke";
  for (const char* text : {"first", "second"}) {
    auto files = ExportFiles::Begin(target);
    ASSERT_TRUE(files) << files.error().message;
    ASSERT_TRUE(AddTexts(*files, text, {text}));
    ASSERT_TRUE(files->Commit({}));
  }
  EXPECT_TRUE(fs::exists(target / "second.jsonl"));
  EXPECT_FALSE(fs::exists(target / "first.jsonl")) << "nothing of the earlier one is left among the new";
  EXPECT_EQ(Entries(), 1);
  const fs::path other = dir_ / "letters";
  fs::create_directory(other);
  EXPECT_TRUE(ExportFiles::Begin(other)) << "it is empty";
  std::ofstream(other / "letter") << "dear";
  EXPECT_EQ(ExportFiles::Begin(other).error().reason, "NOT_AN_EXPORT");
  std::ofstream(other / "index.json") << "{\"format\": 1}";
  EXPECT_EQ(ExportFiles::Begin(other).error().reason, "NOT_AN_EXPORT");
  std::ofstream(dir_ / "file") << "x";
  EXPECT_EQ(ExportFiles::Begin(dir_ / "file").error().reason, "NOT_AN_EXPORT");
  EXPECT_EQ(ExportFiles::Begin(dir_ / "nowhere" / "ke").error().reason, "CANNOT_WRITE");
  EXPECT_EQ(Read(other / "letter"), "dear");
}

TEST_F(ExportFilesTest, IsAnArchiveThatTarReads) {
  const fs::path target = dir_ / "ke.tar";
  for (int round = 0; round < 2; ++round) {
    auto files = ExportFiles::Begin(target);
    ASSERT_TRUE(files) << files.error().message;
    ASSERT_TRUE(AddTexts(*files, "projects", {std::string(5000, 'x'), "y"}));
    ASSERT_TRUE(AddTexts(*files, "keys", {std::string(509, 'z')}));
    ASSERT_TRUE(AddTexts(*files, "empty", {}));
    ASSERT_TRUE(files->Commit({}));
  }
  EXPECT_EQ(Entries(), 1);
  struct stat about {};
  ASSERT_EQ(stat(target.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  const fs::path out = dir_ / "out";
  fs::create_directory(out);
  ASSERT_EQ(std::system(("tar -xf '" + target.string() + "' -C '" + out.string() + "'").c_str()), 0);
  EXPECT_EQ(Read(out / "ke" / "projects.jsonl"), "\"" + std::string(5000, 'x') + "\"\n\"y\"\n");
  EXPECT_EQ(Read(out / "ke" / "keys.jsonl"), "\"" + std::string(509, 'z') + "\"\n") << "just a block";
  EXPECT_EQ(Read(out / "ke" / "empty.jsonl"), "");
  EXPECT_EQ(nlohmann::json::parse(Read(out / "ke" / "index.json")).at("files").size(), 3U);
}

TEST_F(ExportFilesTest, AnErrorOfTheListIsThatOfTheExport) {
  auto files = ExportFiles::Begin(dir_ / "ke");
  const Status added = files->AddKind(
      "keys", [](const ExportFiles::Write&) -> Status { return Fail(Code::kUnavailable, "AWAY", "away"); });
  EXPECT_EQ(added.error().reason, "AWAY");
}

}  // namespace
}  // namespace allod::cli::commands::export_files_test
