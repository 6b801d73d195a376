export { Malformed, WireReader, asBuffer, readText, scanText, textTrait, wireType } from '@cometmq/shared';
