/**
 * gRPC's health service: whether this process serves, as load balancers and probes ask it. A watch is told of changes
 * within a second; one timer serves all watches, and runs only while there are any.
 */
import { health } from '@cometmq/proto';
import { type GrpcService, type MessageSink, grpcStatus } from '@cometmq/rpc';
import type { Clock, Timer } from '@cometmq/shared';

const requestBytesMax = 4_096;
const watchesMax = 1_000;
const lookMs = 1_000;
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = health.HealthCheckResponse_ServingStatus;
type ServingStatus = health.HealthCheckResponse_ServingStatus;

export interface HealthParts {
  readonly clock: Clock;
  /** The services that may be asked for; an empty name is the server as a whole. */
  readonly services: readonly GrpcService[];
  /** Why this process does not serve; undefined: it does. */
  readonly unready: () => string | undefined;
}

export class Health {
  readonly service: GrpcService = {
    name: 'grpc.health.v1.Health',
    methods: {
      Check: {
        kind: 'unary',
        requestBytesMax,
        handler: (request, _call, reply) => {
          const name = serviceOf(request);
          if (name === undefined) reply.fail(grpcStatus.INVALID_ARGUMENT, 'this is no HealthCheckRequest');
          else if (!this.names.has(name)) reply.fail(grpcStatus.NOT_FOUND, `there is no service "${name}" here`);
          else reply.send(encoded(this.status));
        },
      },
      Watch: {
        kind: 'serverStream',
        requestBytesMax,
        handler: (request, call, out) => {
          const name = serviceOf(request);
          if (name === undefined) out.fail(grpcStatus.INVALID_ARGUMENT, 'this is no HealthCheckRequest');
          else if (this.watches.size >= watchesMax) out.fail(grpcStatus.RESOURCE_EXHAUSTED, 'too many watches');
          else {
            this.watch(name, out);
            call.onCancel(() => this.watches.delete(out));
          }
        },
      },
    },
  };

  private readonly names: ReadonlySet<string>;
  /** What each was told last. */
  private readonly watches = new Map<MessageSink, { readonly known: boolean; told: ServingStatus }>();
  private timer: Timer | undefined;
  private stopping = false;

  constructor(private readonly parts: HealthParts) {
    this.names = new Set(['', this.service.name, ...parts.services.map(({ name }) => name)]);
  }

  /** The process is about to stop: whoever asks shall go elsewhere. */
  drain(): void {
    this.stopping = true;
    this.tell();
    for (const out of this.watches.keys()) out.end();
    this.watches.clear();
    this.timer?.cancel();
  }

  private get status(): ServingStatus {
    return this.stopping || this.parts.unready() !== undefined ? NOT_SERVING : SERVING;
  }

  private watch(name: string, out: MessageSink): void {
    const known = this.names.has(name);
    const told = known ? this.status : SERVICE_UNKNOWN;
    this.watches.set(out, { known, told });
    out.write(encoded(told));
    this.arm();
  }

  private arm(): void {
    this.timer ??= this.parts.clock.after(lookMs, () => {
      this.timer = undefined;
      this.tell();
      if (this.watches.size > 0) this.arm();
    });
  }

  private tell(): void {
    const { status } = this;
    for (const [out, watch] of this.watches) {
      if (!watch.known || watch.told === status) continue;
      watch.told = status;
      out.write(encoded(status));
    }
  }
}

function serviceOf(request: Uint8Array): string | undefined {
  try {
    return health.HealthCheckRequest.decode(request).service;
  } catch {
    return undefined;
  }
}

const encoded = (status: ServingStatus): Uint8Array => health.HealthCheckResponse.encode({ status }).finish();
