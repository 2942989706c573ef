#include "services/common/blob_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "services/common/digest.h"
#include "tests/support/temp_dir.h"

namespace allod::blob_store_test {
namespace {

namespace fs = std::filesystem;

class BlobStoreTest : public testing::Test {
 protected:
  std::ptrdiff_t Count(const fs::path& directory) const {
    return std::distance(fs::directory_iterator(directory), fs::directory_iterator());
  }
  std::ptrdiff_t Incoming() const { return Count(dir_ / "blobs" / "incoming"); }
  Result<Blob> Store(const std::string& text, const std::string& expected = "") {
    auto writer = store_.Create();
    EXPECT_TRUE(writer);
    EXPECT_TRUE(writer->Append(text.data(), text.size()));
    return writer->Commit(expected);
  }

  TempDir dir_;
  BlobStore store_ = BlobStore::Open(dir_ / "blobs").value();
};

TEST_F(BlobStoreTest, FindsWhatWasCommitted) {
  const auto blob = Store("hello", Sha256Hex("hello"));
  ASSERT_TRUE(blob) << blob.error().message;
  const auto found = store_.Find(Sha256Hex("hello"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes, 5);
  std::ifstream in(found->path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "hello");
  EXPECT_EQ(Incoming(), 0);
}

TEST_F(BlobStoreTest, KeepsNothingOfAFileWithAnotherDigest) {
  const auto blob = Store("hello", Sha256Hex("other"));
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().reason, "DIGEST_MISMATCH");
  EXPECT_EQ(Incoming(), 0);
  EXPECT_EQ(Count(dir_ / "blobs"), 1);  // incoming/ only
}

TEST_F(BlobStoreTest, KeepsNothingOfAnAbandonedUpload) {
  {
    auto writer = store_.Create();
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->Append("half", 4));
    EXPECT_EQ(Incoming(), 1);
  }
  EXPECT_EQ(Incoming(), 0);
}

TEST_F(BlobStoreTest, TakesTheSameFileTwice) {
  ASSERT_TRUE(Store("hello"));
  ASSERT_TRUE(Store("hello"));
  EXPECT_EQ(Count(dir_ / "blobs"), 2);
}

TEST_F(BlobStoreTest, RefusesASecondCommit) {
  auto writer = store_.Create();
  ASSERT_TRUE(writer->Commit(""));
  EXPECT_EQ(writer->Commit("").error().reason, "WRITER_FINISHED");
  EXPECT_EQ(writer->Append("x", 1).error().reason, "WRITER_FINISHED");
}

TEST_F(BlobStoreTest, RefusesPathsInPlaceOfDigests) {
  dir_.Write("secret", "x");
  for (const char* digest : {"", "../secret", "incoming", "/etc/passwd"}) {
    EXPECT_EQ(store_.Find(digest).error().reason, "INVALID_DIGEST") << digest;
    EXPECT_EQ(store_.Remove(digest).error().reason, "INVALID_DIGEST") << digest;
  }
  EXPECT_TRUE(fs::exists(dir_ / "secret"));
}

TEST_F(BlobStoreTest, DoesNotFollowALinkUnderADigest) {
  fs::create_symlink(dir_.Write("secret", "x"), dir_ / "blobs" / Sha256Hex("x"));
  EXPECT_EQ(store_.Find(Sha256Hex("x")).error().code, Code::kNotFound);
}

TEST_F(BlobStoreTest, AdoptsAFinishedFile) {
  const fs::path path = store_.IncomingPath("../../evil name");
  EXPECT_EQ(path.parent_path(), dir_ / "blobs" / "incoming");
  std::ofstream(path) << "model";
  const auto blob = store_.Adopt(path);
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(blob->sha256, Sha256Hex("model"));
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(store_.Adopt(path).error().code, Code::kNotFound);
}

TEST_F(BlobStoreTest, RemovesTwiceWithoutComplaint) {
  ASSERT_TRUE(Store("hello"));
  EXPECT_TRUE(store_.Remove(Sha256Hex("hello")));
  EXPECT_TRUE(store_.Remove(Sha256Hex("hello")));
  EXPECT_EQ(store_.Find(Sha256Hex("hello")).error().code, Code::kNotFound);
}

TEST_F(BlobStoreTest, ClearsWhatCrashedProcessesLeftADayAgo) {
  const fs::path old_file = store_.IncomingPath("old");
  const fs::path new_file = store_.IncomingPath("new");
  std::ofstream(old_file) << "x";
  std::ofstream(new_file) << "x";
  fs::last_write_time(old_file, fs::file_time_type::clock::now() - std::chrono::hours(25));
  ASSERT_TRUE(BlobStore::Open(dir_ / "blobs"));
  EXPECT_FALSE(fs::exists(old_file));
  EXPECT_TRUE(fs::exists(new_file));
}

TEST(BlobStore, RefusesARootThatIsAFile) {
  const TempDir dir;
  EXPECT_FALSE(BlobStore::Open(dir.Write("file", "x")));
}

}  // namespace
}  // namespace allod::blob_store_test
