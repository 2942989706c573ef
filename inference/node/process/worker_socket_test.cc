#include "inference/node/process/worker_socket.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace allod::inference::node::process::worker_socket_test {
namespace {

TEST(WorkerSocket, IsTheSameForTheSameWorkerAndGoesWithIt) {
  const TempDir dir;
  ASSERT_TRUE(PrepareRunDir(dir / "run"));
  std::string target;
  {
    const auto socket = WorkerSocket::Listen(dir / "run", "pool/" + std::string(64, 'a'));
    ASSERT_TRUE(socket) << socket.error().message;
    target = socket->target();
    EXPECT_TRUE(std::filesystem::is_socket(target.substr(5)));
    EXPECT_EQ(std::filesystem::path(target.substr(5)).parent_path(), dir / "run");
    EXPECT_NE(WorkerSocket::Listen(dir / "run", "another")->target(), target);
  }
  EXPECT_FALSE(std::filesystem::exists(target.substr(5)));
  EXPECT_EQ(WorkerSocket::Listen(dir / "run", "pool/" + std::string(64, 'a'))->target(), target);
  const auto too_long = WorkerSocket::Listen(dir / std::string(200, 'x'), "a");
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().reason, "CANNOT_LISTEN");
}

TEST(WorkerSocket, OnesThatAKilledAgentLeftAreRemovedAndNothingElse) {
  const TempDir dir;
  {
    auto socket = WorkerSocket::Listen(dir.path(), "a");
    ASSERT_TRUE(socket);
    dir.Write("w-notes.sock", "no socket");
    ASSERT_TRUE(PrepareRunDir(dir.path()));
    EXPECT_FALSE(std::filesystem::exists(socket->target().substr(5)));
  }
  EXPECT_TRUE(std::filesystem::exists(dir / "w-notes.sock"));  // no socket, whatever its name
  const auto file = dir.Write("file", "");
  EXPECT_EQ(PrepareRunDir(file).error().reason, "NO_RUN_DIR");
}

}  // namespace
}  // namespace allod::inference::node::process::worker_socket_test
