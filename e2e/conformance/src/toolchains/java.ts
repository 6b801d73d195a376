/** Java: the client's jar from Maven Central holds all it needs; the driver is compiled against it by javac alone. */
import { join } from 'node:path';

import { cache, need, run, sources, unlessMade, type Toolchain } from './toolchain.js';

const newest = '5.2.0';

export const java: Toolchain = {
  language: 'java',
  async build(version) {
    need('javac', '-version');
    need('mvn', '-version');
    const folder = join(cache, 'java', version);
    const jar = join(folder, `rocketmq-client-java-${version}.jar`);
    const classes = join(folder, 'classes');
    // What only newer clients can do stands in a class that older ones get another copy of.
    const source = (path: string): string => join(sources, 'java', path);
    const files = [
      source('Driver.java'),
      source('Json.java'),
      source(version === newest ? 'newest/Newer.java' : 'older/Newer.java'),
    ];
    await unlessMade(folder, files, [version], async () => {
      const artifact = `org.apache.rocketmq:rocketmq-client-java:${version}`;
      const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
      await run('mvn', [
        ...['-q', '-B', `${plugin}:copy`, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`],
        // Without the jar's own dependencies: they are inside.
        ...['-Dmdep.useBaseVersion=true', '-f', source('pom.xml')],
      ]);
      await run('javac', ['-nowarn', '-cp', jar, '-d', classes, ...files]);
    });
    const small = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xss512k', '-Xmx512m'];
    return {
      file: 'java',
      args: [...small, `-Duser.home=${join(cache, 'logs', 'home')}`, '-cp', `${classes}:${jar}`, 'Driver'],
    };
  },
};
