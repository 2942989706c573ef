#include "services/common/digest.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::digest_test {
namespace {

TEST(Sha256, AgreesWithThePublishedVectors) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, IsTheSameInPieces) {
  const std::string text(100'000, 'x');
  Sha256 digest;
  for (std::size_t i = 0; i < text.size(); i += 999)
    digest.Update(text.data() + i, std::min<std::size_t>(999, text.size() - i));
  EXPECT_EQ(digest.FinishHex(), Sha256Hex(text));
  EXPECT_EQ(digest.FinishHex(), Sha256Hex("")) << "starts again after Finish";
}

TEST(Sha256, OfAFileTheWholeCountsWhateverItsPosition) {
  const Pipe pipe = Pipe::Make();
  EXPECT_FALSE(Sha256HexOfFile(pipe.read.get())) << "cannot be read from its beginning";
  const OwnedFd file(memfd_create("text", MFD_CLOEXEC));
  const std::string text(3'000'000, 'x');
  ASSERT_EQ(write(file.get(), text.data(), text.size()), std::ssize(text));
  EXPECT_EQ(Sha256HexOfFile(file.get()), Sha256Hex(text));
  EXPECT_EQ(lseek(file.get(), 0, SEEK_CUR), std::ssize(text)) << "not moved";
}

// RFC 4231, test cases 2 and 6.
TEST(HmacSha256, AgreesWithThePublishedVectors) {
  EXPECT_EQ(HmacSha256Hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HmacSha256Hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, HasNoMemoryOfAnEarlierKey) {
  const std::string before = HmacSha256Hex("", "m");
  (void)HmacSha256Hex("key", "m");
  EXPECT_EQ(HmacSha256Hex({}, "m"), before);
}

TEST(EqualInConstantTime, ComparesLengthAndContent) {
  EXPECT_TRUE(EqualInConstantTime("", ""));
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
}

TEST(CodeName, CoversEveryCode) {
  EXPECT_EQ(CodeName(Code::kOk), "OK");
  EXPECT_EQ(CodeName(Code::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<Code>(99)), "UNKNOWN");
}

TEST(Digest, DerivesKeysAsRfc5869Has) {
  // Test case 1 of its appendix A; the first 32 bytes.
  std::string salt, info;
  for (int i = 0; i <= 12; ++i) salt.push_back(static_cast<char>(i));
  for (int i = 0xf0; i <= 0xf9; ++i) info.push_back(static_cast<char>(i));
  const Digest256 key = DeriveKey(std::string(22, '\x0b'), salt, info);
  EXPECT_EQ(ToHex(key), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

}  // namespace
}  // namespace allod::digest_test
