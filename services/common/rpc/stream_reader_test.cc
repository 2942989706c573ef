// A blocking reader of a stream, ended from either side at every moment.
#include "services/common/rpc/stream_reader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::stream_reader_test {
namespace {

using namespace std::chrono_literals;
using scheduling::v1::RouteService;
using scheduling::v1::WatchRoutesRequest;
using scheduling::v1::WatchRoutesResponse;

class Routes final : public RouteService::Service {
 public:
  using Writer = grpc::ServerWriter<WatchRoutesResponse>;
  grpc::Status WatchRoutes(grpc::ServerContext* context, const WatchRoutesRequest*, Writer* writer) override {
    return script(*context, *writer);
  }
  std::function<grpc::Status(grpc::ServerContext&, Writer&)> script;
};

class StreamReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = Server::Start({.listen = target_}, {&routes_});
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
    stub_ = RouteService::NewStub(MakeChannel(target_));
  }
  void Begin(StreamReader<WatchRoutesResponse>& reader, grpc::ClientContext& context) {
    reader.Begin([&](auto* reactor) { stub_->async()->WatchRoutes(&context, &request_, reactor); });
  }
  static WatchRoutesResponse Version(int version) {
    WatchRoutesResponse out;
    out.set_version(version);
    return out;
  }

  TempDir directory_;
  const std::string target_ = "unix:" + (directory_ / "routes.sock").string();
  Routes routes_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<RouteService::Stub> stub_;
  const WatchRoutesRequest request_;
};

TEST_F(StreamReaderTest, GivesEachMessageInOrderAndThenTheStatus) {
  routes_.script = [](grpc::ServerContext&, Routes::Writer& writer) {
    for (int i = 1; i <= 500; ++i) writer.Write(Version(i));
    return grpc::Status(grpc::StatusCode::ABORTED, "enough");
  };
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  StreamReader<WatchRoutesResponse> reader(*context);
  Begin(reader, *context);
  WatchRoutesResponse message;
  for (int i = 1; i <= 500; ++i) {
    ASSERT_TRUE(reader.Read(message));
    EXPECT_EQ(message.version(), i);
  }
  EXPECT_FALSE(reader.Read(message));
  EXPECT_FALSE(reader.Read(message)) << "and so it stays";
  EXPECT_EQ(reader.Finish().error_message(), "enough");
}

TEST_F(StreamReaderTest, SaysWhyThereIsNoStream) {
  server_->Stop(0ms);
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  StreamReader<WatchRoutesResponse> reader(*context);
  Begin(reader, *context);
  WatchRoutesResponse message;
  EXPECT_FALSE(reader.Read(message));
  EXPECT_EQ(reader.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(StreamReaderTest, MayBeGivenUpOrCancelledAtAnyMoment) {
  routes_.script = [](grpc::ServerContext& context, Routes::Writer& writer) {
    for (int i = 0; i < 5 && !context.IsCancelled(); ++i) writer.Write(Version(i));
    return grpc::Status::OK;
  };
  std::minstd_rand random(7);
  for (int round = 0; round < 2000; ++round) {
    const auto context = MakeStreamContext(Caller::Service("gateway"));
    StreamReader<WatchRoutesResponse> reader(*context);
    Begin(reader, *context);
    std::jthread canceller;
    if (round % 2 == 0) {
      canceller = std::jthread([&context, pause = random() % 300] {
        std::this_thread::sleep_for(std::chrono::microseconds(pause));
        context->TryCancel();
      });
    }
    WatchRoutesResponse message;
    for (auto reads = random() % 8; reads > 0 && reader.Read(message); --reads) continue;
    if (round % 3 == 0) context->TryCancel();
    canceller = {};
  }
}

}  // namespace
}  // namespace allod::stream_reader_test
